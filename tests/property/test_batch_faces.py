"""The two faces of a batch say the same, for every kind of row and however it is cut."""

from itertools import pairwise
from typing import get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from market_data_pipeline.model import BATCHES, MAX_PX, Bar, Basis, Flag, Origin, Quote, Side, Trade, concat
from market_data_pipeline.model.columns import MISSING

ORIGIN = Origin("synthetic", "synthetic", 1, "synthetic")
LARGEST = 2**63 - 1

symbols = st.sampled_from(["AAPL", "BRK.B", "O:SPY251219C00650000", "EUR/USD", "東京"])
times = st.integers(-LARGEST - 1, LARGEST)
prices = st.integers(-MAX_PX, MAX_PX)
sizes = st.floats(0, allow_infinity=False)
flags = st.integers(0, sum(Flag) & 0xFFFF)
texts = st.none() | st.text(max_size=3)
head = (symbols, times, times, st.integers(0, LARGEST), flags, st.just(ORIGIN))

quotes = st.builds(Quote, *head, *([st.none() | prices] * 2), *([st.none() | sizes] * 2))
trades = st.builds(Trade, *head, prices, st.none() | sizes, texts, st.none() | st.sampled_from(get_args(Side)), texts)
bars = st.builds(
    Bar,
    *(*head, times, times, *([prices] * 4), sizes, st.none() | sizes, st.integers(0, LARGEST)),
    *(st.sampled_from(get_args(Basis)), st.integers(0, 2**31 - 1), st.booleans(), st.booleans()),
)
rows_of_a_kind = st.one_of(*(st.lists(rows, min_size=1, max_size=12) for rows in (quotes, trades, bars)))


def by_rows(rows, position=None):
    return BATCHES[rows[0].kind](rows, position=position)


def by_columns(rows, position=None):
    batch = by_rows(rows)
    return type(batch).from_columns(batch.columns, ORIGIN, position=position)


both = st.sampled_from([by_rows, by_columns])


@given(rows_of_a_kind)
def test_rows_come_back_from_columns(rows):
    batch = by_columns(rows)
    assert batch.rows == tuple(rows)
    assert all(row.origin is ORIGIN for row in batch.rows)
    assert [type(value) for row in batch.rows for value in astuple(row)] == [
        type(value) for row in rows for value in astuple(row)
    ]


@given(rows_of_a_kind)
def test_columns_come_back_from_rows(rows):
    columns = by_rows(rows).columns
    again = by_rows(by_columns(rows).rows).columns
    assert again.words == columns.words
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in columns.items()
    }


@given(rows_of_a_kind)
def test_what_is_missing_is_zero_and_a_bit_in_columns_and_none_in_rows(rows):
    columns = by_rows(rows).columns
    for name in columns.keys() & MISSING.keys():
        absent = [getattr(row, name) is None for row in rows]
        assert ((columns["flags"] & MISSING[name]) != 0).tolist() == absent
        assert not columns[name][absent].any()


@given(rows_of_a_kind, both)
def test_columns_cannot_be_written(rows, face):
    batch = face(rows)
    for part in (batch, batch[:1], batch.select([0]), concat([batch, batch])):
        assert not any(array.flags.writeable for array in part.columns.values())


@given(rows_of_a_kind, both, st.data())
def test_a_slice_is_the_slice_of_its_rows_in_the_same_face(rows, face, data):
    batch = face(rows, position="end")
    cut = data.draw(st.slices(len(rows)).filter(lambda cut: rows[cut]))
    part = batch[cut]
    assert (part.rows, part.born, part.origin) == (tuple(rows[cut]), batch.born, ORIGIN)
    whole_end = range(len(rows))[cut].step == 1 and range(len(rows))[cut][-1] == len(rows) - 1
    assert part.position == ("end" if whole_end else None)


@given(rows_of_a_kind, both, st.data())
def test_a_selection_is_its_rows_in_its_order_in_the_same_face(rows, face, data):
    indices = data.draw(st.lists(st.integers(-len(rows), len(rows) - 1), min_size=1, max_size=20))
    expected = tuple(rows[index] for index in indices)
    for form in (list, tuple, np.array):
        part = face(rows, position="end").select(form(indices))
        assert (part.rows, part.born, part.position) == (expected, face(rows).born, None)


@given(rows_of_a_kind, both, st.data())
def test_cut_and_joined_is_the_same(rows, face, data):
    batch = face(rows, position="end")
    cuts = sorted({0, len(rows), *data.draw(st.lists(st.integers(0, len(rows))))})
    joined = concat([batch[a:b] for a, b in pairwise(cuts)])
    assert (joined.rows, joined.born, joined.position) == (tuple(rows), batch.born, "end")
    assert joined.columns["ts_event"].tolist() == [row.ts_event for row in rows]
    assert joined.columns.text("symbol") == [row.symbol for row in rows]


@given(rows_of_a_kind)
def test_from_a_row_no_way_leads_to_its_batch(rows):
    scalars = {str, int, float, bool, type(None)}
    for row in (*by_rows(rows).rows, *by_columns(rows).rows):
        assert not hasattr(row, "__dict__")
        assert {type(value) for value in astuple(row)} <= {Origin, *scalars}
        assert {type(value) for value in astuple(row.origin)} <= scalars
