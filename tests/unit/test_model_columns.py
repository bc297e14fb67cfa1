"""Columns: what an array must be, and who may write it."""

import msgspec
import numpy as np
import pytest

from market_data_pipeline.model import Flag, Origin, Quote, QuoteBatch, Trade, TradeBatch
from market_data_pipeline.model.columns import Columns, dtype, encode, join

ORIGIN = Origin("acme", "acme", 1, "live")
QUOTE = Quote("AAPL", 1, 2, 3, 0, ORIGIN, 10**9, 10**9 + 1, 1.0, 2.0)
TRADE = Trade("AAPL", 1, 2, 3, 0, ORIGIN, 10**9, 10.0)


def test_a_callers_array_is_used_as_it_is_and_stays_writable():
    given = np.arange(3)
    columns = Columns({"ts_event": given}, {})
    assert np.shares_memory(columns["ts_event"], given)
    assert (given.flags.writeable, columns["ts_event"].flags.writeable) == (True, False)
    with pytest.raises(ValueError, match="read-only"):
        columns["ts_event"][0] = 7


def test_arrays_made_from_rows_are_read_only_for_good():
    times = QuoteBatch([QUOTE]).columns["ts_event"]
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
        times.base.flags.writeable = True


@pytest.mark.parametrize("name", ["ts_event", "bid_px", "volume", "flags", "is_final"])
def test_an_array_of_another_dtype_is_cast_if_nothing_is_lost(name):
    given = np.array([0, 1], "?" if name == "is_final" else "u2")
    column = Columns({name: given}, {})[name]
    assert (column.dtype, column.tolist()) == (dtype(name), [0, 1])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("bid_px", np.array([1.5])),
        ("bid_px", np.array([1.0])),
        ("bid_px", np.array([None])),
        ("ts_event", np.array([2**63], "u8")),
        ("ts_event", np.array(["2025-11-23"], "M8[ns]")),
        ("flags", np.array([2**40])),
        ("is_final", np.array([1])),
        ("size", np.array(["1"])),
    ],
    ids=str,
)
def test_an_array_that_would_lose_something_is_refused(name, values):
    with pytest.raises(ValueError, match=f"column '{name}' is {values.dtype}".replace("[", r"\[")):
        Columns({name: values}, {})


def test_arrays_of_different_length_are_refused():
    with pytest.raises(ValueError, match="column 'ts_recv' has 2 rows, those before it 3"):
        Columns({"ts_event": np.arange(3), "ts_recv": np.arange(2)}, {})


def test_an_array_of_two_dimensions_is_refused():
    with pytest.raises(ValueError, match="column 'ts_event' has 2 dimensions"):
        Columns({"ts_event": np.zeros((2, 2), "i8")}, {})


def test_text_needs_words():
    with pytest.raises(ValueError, match="the text column 'symbol' has no words"):
        Columns({"symbol": np.zeros(1, "i4")}, {})


@pytest.mark.parametrize(("code", "words"), [(-1, ["A", "B"]), (2, ["A", "B"]), (0, [])])
def test_a_code_outside_of_the_words_is_refused(code, words):
    with pytest.raises(ValueError, match=f"column 'symbol' has a code outside of its {len(words)} words"):
        Columns({"symbol": np.array([code], "i4")}, {"symbol": words})


def test_the_length_is_that_of_the_rows():
    columns = TradeBatch([TRADE] * 3).columns
    assert (len(columns), len(columns.take([0])), len(Columns({}, {}))) == (3, 1, 0)


def test_columns_are_equal_only_if_they_are_the_same():
    one, other = QuoteBatch([QUOTE]).columns, QuoteBatch([QUOTE]).columns
    assert len({one, other, one}) == 2
    assert one != other


def test_words_stand_in_the_order_of_their_first_appearance():
    codes, words = encode(["b", None, "a", "b"])
    assert (codes.tolist(), words) == ([0, 1, 2, 0], ("b", None, "a"))


def test_a_word_that_stands_twice_is_made_one():
    codes = np.array([2, 0, 1, 2], "i4")
    columns = Columns({"symbol": codes}, {"symbol": ["A", "B", "A"]})
    assert (columns["symbol"].tolist(), columns.words["symbol"]) == ([0, 0, 1, 0], ("A", "B"))
    assert codes.tolist() == [2, 0, 1, 2]
    assert not columns["symbol"].flags.writeable


def test_joined_columns_share_words():
    parts = [
        Columns({"symbol": np.array([1, 0], "i4")}, {"symbol": ("A", "B")}),
        Columns({"symbol": np.array([0, 1], "i4")}, {"symbol": ("B", None)}),
    ]
    joined = join(parts)
    assert (joined.words["symbol"], joined.text("symbol")) == (("A", "B", None), ["B", "A", "B", None])


def test_a_slice_copies_nothing():
    columns = QuoteBatch([QUOTE] * 4).columns
    part = columns.take(slice(1, 3))
    assert all(np.shares_memory(part[name], columns[name]) for name in columns)
    assert part.words["symbol"] is columns.words["symbol"]


def test_a_bit_says_what_is_missing_and_the_other_flags_stay():
    columns = QuoteBatch([QUOTE]).columns
    flags = {"flags": np.array([Flag.NO_ASK | Flag.NO_BID_SIZE | Flag.SNAPSHOT], "i4")}
    batch = QuoteBatch.from_columns(Columns({**columns, **flags}, columns.words), ORIGIN)
    expected = msgspec.structs.replace(QUOTE, ask_px=None, bid_size=None, flags=int(Flag.SNAPSHOT))
    assert batch.rows == (expected,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bid_px": 1.38676}, "a row's bid_px does not fit int64"),
        ({"ts_event": 2**63}, "a row's ts_event does not fit int64"),
        ({"ts_event": None}, "a row's ts_event does not fit int64"),
        ({"bid_size": "1"}, "a row's bid_size does not fit float64"),
    ],
    ids=str,
)
def test_a_row_that_does_not_fit_a_column_is_refused(change, message):
    rows = [msgspec.structs.replace(QUOTE, ask_px=None), msgspec.structs.replace(QUOTE, **change)]
    with pytest.raises(ValueError, match=message):
        _ = QuoteBatch(rows).columns


def test_rows_of_two_origins_are_refused():
    twin, other = Origin("acme", "acme", 1, "live"), Origin("acme", "acme", 2, "live")
    assert len(QuoteBatch([QUOTE, msgspec.structs.replace(QUOTE, origin=twin)]).columns) == 2
    with pytest.raises(ValueError, match="the rows of a batch share one origin"):
        _ = QuoteBatch([QUOTE, msgspec.structs.replace(QUOTE, origin=other)]).columns


def test_in_rows_none_alone_says_what_is_missing():
    """Bits that only columns have are left out of rows' flags, so that neither a value nor its lack gets lost."""
    strange = msgspec.structs.replace(QUOTE, bid_px=None, flags=Flag.NO_ASK | Flag.NO_VWAP | Flag.SNAPSHOT)
    columns = QuoteBatch([strange]).columns
    assert columns["flags"].tolist() == [Flag.NO_BID | Flag.SNAPSHOT]
    back = QuoteBatch.from_columns(columns, ORIGIN).rows
    assert back == (msgspec.structs.replace(strange, flags=Flag.SNAPSHOT),)


def test_the_weight_is_that_of_the_arrays():
    columns = QuoteBatch([QUOTE] * 3).columns
    assert [part.nbytes for part in (columns, columns.take([1]))] == [
        sum(array.nbytes for array in part.values()) for part in (columns, columns.take([1]))
    ]
