"""Batches: what makes one, what it keeps, and what it refuses."""

import msgspec
import numpy as np
import pytest

from market_data_pipeline.model import BATCHES, Bar, Origin, Quote, QuoteBatch, Trade, TradeBatch, concat
from market_data_pipeline.model.columns import Columns

ORIGIN = Origin("acme", "acme", 1, "live")
QUOTES = tuple(Quote("AAPL", n, n, n, 0, ORIGIN, 10**9 + n, None, 1.0, None) for n in range(4))
TRADE = Trade("AAPL", 1, 2, 3, 0, ORIGIN, 10**9, 10.0)


def columns_of(rows=QUOTES):
    return QuoteBatch(rows).columns


def test_a_batch_of_rows_keeps_the_very_rows():
    batch = QuoteBatch(iter(QUOTES), position="here")
    assert batch.rows == QUOTES
    assert all(kept is given for kept, given in zip(batch.rows, QUOTES, strict=True))
    assert (batch.born, batch.kind, batch.origin, batch.position, len(batch)) == ("rows", "quote", ORIGIN, "here", 4)


def test_a_batch_of_columns_keeps_the_very_columns():
    columns = columns_of()
    batch = QuoteBatch.from_columns(columns, ORIGIN, position="here")
    assert batch.columns is columns
    assert (batch.born, batch.kind, batch.origin, batch.position, len(batch)) == ("columns", "quote", ORIGIN, "here", 4)


def test_the_other_face_is_made_once():
    by_rows, by_columns = QuoteBatch(QUOTES), QuoteBatch.from_columns(columns_of(), ORIGIN)
    assert by_rows.columns is by_rows.columns
    assert by_columns.rows is by_columns.rows


def test_each_kind_has_its_batch():
    assert {kind: batch.row_type for kind, batch in BATCHES.items()} == {"quote": Quote, "trade": Trade, "bar": Bar}


def test_there_is_no_batch_without_rows():
    with pytest.raises(ValueError, match="a QuoteBatch has at least one row"):
        QuoteBatch([])
    with pytest.raises(ValueError, match="a QuoteBatch has at least one row"):
        QuoteBatch.from_columns(columns_of().take(slice(0, 0)), ORIGIN)
    with pytest.raises(ValueError, match="a QuoteBatch has at least one row"):
        QuoteBatch(QUOTES)[4:]


def test_rows_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="a QuoteBatch is made of Quote rows, not Trade"):
        QuoteBatch([TRADE])


def test_lacking_columns_are_named():
    columns = columns_of()
    some = {name: columns[name] for name in columns if name not in {"ordinal", "ask_px"}}
    with pytest.raises(ValueError, match="a QuoteBatch needs the columns ordinal, ask_px"):
        QuoteBatch.from_columns(Columns(some, columns.words), ORIGIN)


def test_an_index_is_refused_with_the_way_to_a_row():
    with pytest.raises(TypeError, match=r"batch\.rows\[index\]"):
        QuoteBatch(QUOTES)[0]
    with pytest.raises(TypeError, match=r"for row in batch\.rows"):
        next(iter(QuoteBatch(QUOTES)))


@pytest.mark.parametrize("make", [QuoteBatch, lambda rows: QuoteBatch.from_columns(columns_of(rows), ORIGIN)])
def test_an_index_out_of_range_is_refused_in_either_face(make):
    with pytest.raises(IndexError):
        make(QUOTES).select([4])


def test_batches_are_equal_only_if_they_are_the_same():
    one, other = QuoteBatch(QUOTES), QuoteBatch(QUOTES)
    assert len({one, other, one}) == 2
    assert one.rows == other.rows


def test_one_batch_joined_is_itself():
    batch = QuoteBatch(QUOTES)
    assert concat([batch]) is batch


def test_joining_takes_the_face_of_the_first_and_the_position_of_the_last():
    by_rows, by_columns = QuoteBatch(QUOTES, position="1"), QuoteBatch.from_columns(columns_of(), ORIGIN, position="2")
    one, other = concat([by_rows, by_columns]), concat([by_columns, by_rows])
    assert (one.born, one.position, one.rows) == ("rows", "2", QUOTES * 2)
    assert (other.born, other.position, other.rows) == ("columns", "1", QUOTES * 2)


def test_joining_nothing_or_different_things_is_refused():
    elsewhere = QuoteBatch([msgspec.structs.replace(QUOTES[0], origin=Origin("other", "other", 1, "live"))])
    with pytest.raises(ValueError, match="there is no batch to join"):
        concat([])
    for other in (TradeBatch([TRADE]), elsewhere):
        with pytest.raises(ValueError, match="batches of one kind and origin can be joined"):
            concat([QuoteBatch(QUOTES), other])


def test_the_weight_is_that_of_the_face_it_was_born_with():
    by_rows, by_columns = QuoteBatch(QUOTES), QuoteBatch.from_columns(columns_of(), ORIGIN)
    before = by_rows.nbytes, by_columns.nbytes
    assert (by_rows.columns.nbytes, len(by_columns.rows)) == (4 * (7 * 8 + 2 * 4), 4)
    assert (by_rows.nbytes, by_columns.nbytes) == before == (4 * QuoteBatch.row_bytes, 4 * (7 * 8 + 2 * 4))


def test_a_batch_says_what_it_is():
    assert repr(QuoteBatch(QUOTES)) == "<QuoteBatch 4 rows, acme epoch 1>"


def test_a_selection_by_a_numpy_array_has_plain_rows():
    assert QuoteBatch(QUOTES).select(np.array([1, 3])).rows == (QUOTES[1], QUOTES[3])


@pytest.mark.parametrize("born", ["rows", "columns"])
def test_a_mask_is_refused_where_indices_are_wanted(born):
    batch = QuoteBatch(QUOTES) if born == "rows" else QuoteBatch.from_columns(columns_of(), ORIGIN)
    with pytest.raises(TypeError, match=r"numpy\.flatnonzero\(mask\)"):
        batch.select(np.array([True, False, True, False]))
