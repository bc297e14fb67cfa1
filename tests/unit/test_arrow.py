"""Batches as Arrow: the columns of our files, exactly, and what a file may lack."""

from decimal import Decimal

import pyarrow as pa
import pytest

from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model import Bar, BarBatch, Flag, Origin, Quote, QuoteBatch, Trade, TradeBatch
from market_data_pipeline.model.arrow import RowGroup, from_arrow, schema, to_arrow

ORIGIN = Origin("ibkr", "ibkr", 7, "live")
MAX = 999_999_999_999_999_999

QUOTES = QuoteBatch(
    [
        Quote("A", 1_700_000_000_123_456_789, 2, 3, 0, ORIGIN, 1_386_760_000, None, 1e6, None),
        Quote("B", -1, -1, 4, int(Flag.SNAPSHOT), ORIGIN, -MAX, MAX, 0.5, 0.0),
        Quote("A", 0, 5, 5, 0, ORIGIN, None, 0, None, 3.0),
    ]
)
TRADES = TradeBatch(
    [
        Trade("A", 1, 2, 3, 0, ORIGIN, 1, None, "x1", "buy", "@,T"),
        Trade("A", 1, 2, 4, 0, ORIGIN, MAX, 2.0, None, None, None),
    ]
)
BARS = BarBatch(
    [
        Bar("A", 1_000, 2, 3, 0, ORIGIN, 0, 1_000, 1, 4, -2, 3, 10.0, 0.1, 5),
        Bar("B", 1_000, 2, 3, 0, ORIGIN, 0, 1_000, 1, 1, 1, 1, 0.0, None, 1, "mid", 2, False, False),
    ]
)
BATCHES = [QUOTES, TRADES, BARS]
KINDS = ["quote", "trade", "bar"]


def born_columns(batch):
    return batch.from_columns(batch.columns, batch.origin)


def test_the_columns_are_those_of_the_page():
    assert schema("quote").names == [
        *("symbol", "provider", "epoch", "ordinal", "mode", "flags", "time", "ts_event", "ts_recv"),
        *("bid", "ask", "bid_size", "ask_size"),
    ]
    assert schema("trade").names[9:] == ["price", "size", "trade_id", "side", "conditions"]
    assert schema("bar").names[9:] == [
        *("start", "end", "open", "high", "low", "close", "volume", "vwap", "trades"),
        *("basis", "revision", "is_final", "complete"),
    ]


def test_the_types_are_those_of_the_page():
    types = {field.name: str(field.type) for kind in KINDS for field in schema(kind)}
    text = "dictionary<values=string, indices=int32, ordered=0>"
    price = "decimal64(18, 9)"
    assert types == {
        **dict.fromkeys(("symbol", "provider", "mode", "trade_id", "side", "conditions", "basis"), text),
        **dict.fromkeys(("epoch", "ordinal", "ts_event", "ts_recv", "start", "end", "trades"), "int64"),
        **dict.fromkeys(("bid", "ask", "price", "open", "high", "low", "close"), price),
        **dict.fromkeys(("bid_size", "ask_size", "size", "volume", "vwap"), "double"),
        **dict.fromkeys(("flags", "revision"), "int32"),
        **dict.fromkeys(("is_final", "complete"), "bool"),
        "time": "timestamp[us]",
    }


def test_missing_values_are_null_and_their_bits_are_gone():
    columns = to_arrow(born_columns(QUOTES)).to_pydict()
    assert columns["bid"] == [Decimal("1.386760000"), Decimal("-999999999.999999999"), None]
    assert columns["ask"] == [None, Decimal("999999999.999999999"), Decimal(0)]
    assert columns["bid_size"] == [1e6, 0.5, None]
    assert columns["flags"] == [0, int(Flag.SNAPSHOT), 0]


def test_time_is_the_event_in_whole_microseconds_also_before_1970():
    times = to_arrow(QUOTES)["time"].cast(pa.int64()).to_pylist()
    assert times == [1_700_000_000_123_456, -1, 0]


@pytest.mark.parametrize("batch", BATCHES, ids=KINDS)
@pytest.mark.parametrize("born", ["rows", "columns"])
def test_rows_come_back_as_they_were(batch, born):
    data = to_arrow(batch if born == "rows" else born_columns(batch))
    (back,) = from_arrow(data, source="ibkr")
    assert back.rows == batch.rows
    assert back.born == "columns"


def test_the_source_is_who_hands_the_rows_over():
    (back,) = from_arrow(to_arrow(QUOTES), source="replay")
    assert back.origin == Origin("ibkr", "replay", 7, "live")


def test_a_slice_is_read_from_where_it_begins():
    (back,) = from_arrow(to_arrow(QUOTES).slice(1, 2), source="ibkr")
    assert back.rows == QUOTES.rows[1:]


def test_rows_of_several_origins_become_a_batch_for_each_run():
    other = Origin("ibkr", "ibkr", 8, "delayed")
    parts = [QUOTES, QuoteBatch([Quote("C", 9, 9, 9, 0, other, 1, 2, 1.0, 1.0)]), QUOTES[:1]]
    group = RowGroup("quote", 5)
    for part in parts:
        group.append(part)
    back = from_arrow(group.to_arrow(), source="ibkr")
    assert [(batch.origin, batch.rows) for batch in back] == [(part.origin, part.rows) for part in parts]
    assert back[0].origin is back[2].origin


def test_batches_cut_from_one_another_come_back_together():
    group, batch = RowGroup("quote", 3), born_columns(QUOTES)
    for part in (batch[:1], batch[1:]):
        group.append(part)
    (back,) = from_arrow(group.to_arrow(), source="ibkr")
    assert back.rows == QUOTES.rows


def test_no_rows_give_no_batch():
    assert from_arrow(to_arrow(QUOTES).slice(0, 0), source="ibkr") == []


def test_what_a_file_may_lack_is_made_up_for():
    """No ts_recv, epoch or ordinal: ts_event with its flag, what the caller says, the row number."""
    data = to_arrow(QUOTES).drop_columns(["ts_recv", "epoch", "ordinal", "flags", "time"])
    (back,) = from_arrow(data, source="replay", epoch=42, row=100)
    assert back.origin.epoch == 42
    assert [row.ordinal for row in back.rows] == [100, 101, 102]
    assert [row.ts_recv for row in back.rows] == [row.ts_event for row in QUOTES.rows]
    assert {row.flags for row in back.rows} == {int(Flag.TS_RECV_IS_EVENT)}


@pytest.mark.parametrize("column", ["symbol", "provider", "mode", "ts_event", "bid", "ask_size"])
def test_a_missing_column_is_named(column):
    with pytest.raises(MalformedMessage, match=column):
        from_arrow(to_arrow(QUOTES).drop_columns([column]), source="replay")


def replaced(batch, name, values):
    data = to_arrow(batch)
    return data.set_column(data.schema.names.index(name), name, values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ts_event", pa.array([1, None, 3])),
        ("symbol", pa.array(["A", None, "B"])),
        ("ts_event", pa.array([1, 2, 3], pa.timestamp("ns"))),
        ("bid", pa.array(["1", "2", "3"])),
        ("bid", pa.array([Decimal("1e9")] * 3)),
        ("bid", pa.array([float("nan")] * 3)),
        ("bid_size", pa.array(["1", "2", "3"])),
        ("bid_size", pa.array([1.0, float("nan"), 3.0])),
        ("bid_size", pa.array([float("inf"), None, 3.0])),
    ],
    ids=[
        *("null", "null text", "type", "price type", "price bound", "price not finite", "size type", "size no number"),
        "size not finite",
    ],
)
def test_a_wrong_column_is_named(name, values):
    with pytest.raises(MalformedMessage, match=r"ts_event|symbol|bid|price"):
        from_arrow(replaced(QUOTES, name, values), source="replay")


def test_a_dictionary_may_hold_a_text_twice():
    symbol = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), pa.array(["A", "B", "A"]))
    (back,) = from_arrow(replaced(QUOTES, "symbol", symbol), source="ibkr")
    assert back.rows == QUOTES.rows
    assert back.columns.words["symbol"] == ("A", "B")


def test_another_schema_is_refused():
    data = to_arrow(QUOTES).replace_schema_metadata({"mdp.schema": "tick/2"})
    with pytest.raises(MalformedMessage, match="tick/2"):
        from_arrow(data, source="replay")
    with pytest.raises(MalformedMessage, match="neither"):
        from_arrow(pa.RecordBatch.from_pydict({"a": [1]}), source="replay")


def test_prices_of_another_scale_are_exact():
    data = replaced(QUOTES, "bid", pa.array([Decimal("1.25"), Decimal("-0.01"), None], pa.decimal128(10, 2)))
    (back,) = from_arrow(data, source="ibkr")
    assert [row.bid_px for row in back.rows] == [1_250_000_000, -10_000_000, None]


def test_float_prices_stand_for_their_shortest_text():
    prices = [1.38676, 123_456_789.123457, None]
    (back,) = from_arrow(replaced(QUOTES, "bid", pa.array(prices)), source="ibkr")
    assert [row.bid_px for row in back.rows] == [1_386_760_000, 123_456_789_123_457_000, None]
    assert {row.flags & Flag.INEXACT_PX for row in back.rows} == {0}


def test_a_float_price_of_more_than_nine_decimals_is_flagged():
    (back,) = from_arrow(replaced(QUOTES, "bid", pa.array([0.12345678912, 1.0, 1.0])), source="ibkr")
    assert [(row.bid_px, row.flags & Flag.INEXACT_PX) for row in back.rows][:2] == [
        (123_456_789, int(Flag.INEXACT_PX)),
        (1_000_000_000, 0),
    ]


def test_float_prices_are_the_nearest_ones():
    pxs = [MAX, 9_007_199_254_740_993, 1_386_760_000]
    batch = TradeBatch(Trade("A", 1, 1, 1, 0, ORIGIN, px, 1.0) for px in pxs)
    assert to_arrow(batch, prices="float64")["price"].to_pylist() == [px / 10**9 for px in pxs]


@pytest.mark.parametrize("born", [QuoteBatch, lambda rows: born_columns(QuoteBatch(rows))], ids=["rows", "columns"])
def test_flags_that_only_columns_have_are_left_out(born):
    row = Quote("A", 1, 2, 3, Flag.SNAPSHOT | Flag.NO_BID, ORIGIN, 1, None, 1.0, 2.0)
    data = to_arrow(born([row]))
    assert (data["flags"].to_pylist(), data["bid"].null_count, data["ask"].null_count) == ([Flag.SNAPSHOT], 0, 1)


def test_words_come_in_order_of_first_appearance_and_only_if_used():
    batch = QUOTES.from_columns(QUOTES.columns.take([2, 1]), ORIGIN)
    symbol = to_arrow(batch)["symbol"]
    assert symbol.dictionary.to_pylist() == ["A", "B"]
    assert to_arrow(born_columns(QUOTES)[1:2])["symbol"].dictionary.to_pylist() == ["B"]


def test_a_row_group_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="room for 2"):
        RowGroup("quote", 2).append(QUOTES)
