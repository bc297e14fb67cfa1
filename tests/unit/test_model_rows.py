"""Rows: what they are made of, and what they can be asked."""

from datetime import UTC, datetime

import msgspec
import pytest

from market_data_pipeline.model import Bar, Flag, Origin, Quote, Row, Trade

ORIGIN = Origin("acme", "replay", 7, "live")
QUOTE = Quote(
    "AAPL", 1_700_000_000_123_456_789, 1_700_000_000_123_456_999, 3, 0, ORIGIN, 10**9, 2 * 10**9 + 1, 5.0, 7.0
)
TRADE = Trade("AAPL", 1, 2, 3, 0, ORIGIN, 1_386_760_000, 10.0)
BAR = Bar("AAPL", 60, 2, 3, 0, ORIGIN, 0, 60, 10**9, 4 * 10**9, 5 * 10**8, 2 * 10**9, 12.5, None, 4)


def test_a_quote_has_prices_as_floats():
    assert (QUOTE.bid, QUOTE.ask, QUOTE.mid, QUOTE.spread) == (1.0, 2.000000001, 1.5000000005, 1.000000001)
    assert (QUOTE.price, QUOTE.size) == (QUOTE.mid, 12.0)


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_one_sided_quote_has_no_mid_spread_nor_size(side):
    quote = msgspec.structs.replace(QUOTE, **{f"{side}_px": None, f"{side}_size": None})
    assert [getattr(quote, name) for name in (side, "mid", "spread", "price", "size")] == [None] * 5


def test_a_price_of_zero_is_a_price():
    quote = msgspec.structs.replace(QUOTE, bid_px=0, ask_px=0, bid_size=0.0, ask_size=0.0)
    assert (quote.bid, quote.mid, quote.spread, quote.size) == (0.0, 0.0, 0.0, 0.0)


def test_a_trade_and_a_bar_have_prices_as_floats():
    assert TRADE.price == 1.38676
    assert (BAR.open, BAR.high, BAR.low, BAR.close) == (1.0, 4.0, 0.5, 2.0)


@pytest.mark.parametrize(
    ("ts_event", "expected"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_700_000_000_123_456_789, datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)),
        (-(2**63), datetime(1677, 9, 21, 0, 12, 43, 145224, UTC)),
        (2**63 - 1, datetime(2262, 4, 11, 23, 47, 16, 854775, UTC)),
    ],
)
def test_the_timestamp_is_the_microsecond_at_or_before_the_time(ts_event, expected):
    assert msgspec.structs.replace(QUOTE, ts_event=ts_event).timestamp == expected


def test_a_row_says_who_handed_it_over():
    assert (QUOTE.source, QUOTE.origin.provider) == ("replay", "acme")


def test_rows_with_the_same_values_are_equal_and_have_one_hash():
    twin = msgspec.structs.replace(QUOTE, origin=Origin("acme", "replay", 7, "live"))
    assert (twin, hash(twin)) == (QUOTE, hash(QUOTE))


@pytest.mark.parametrize("row", [QUOTE, TRADE, BAR, ORIGIN], ids=lambda row: type(row).__name__)
def test_a_row_is_immutable(row):
    with pytest.raises(AttributeError, match="immutable"):
        setattr(row, row.__struct_fields__[0], "other")


@pytest.mark.parametrize("row", [QUOTE, TRADE, BAR], ids=lambda row: row.kind)
def test_a_row_comes_back_from_json(row):
    assert msgspec.json.decode(msgspec.json.encode(row), type=type(row)) == row


def test_json_of_another_type_is_refused():
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int \| null`, got `float` - at `\$.bid_px`"):
        msgspec.json.decode(msgspec.json.encode(QUOTE).replace(b"1000000000,", b"1.5,", 1), type=Quote)


@pytest.mark.parametrize("row_type", [Row, Quote, Trade, Bar, Origin])
def test_making_rows_is_no_work_for_the_garbage_collector(row_type):
    assert row_type.__struct_config__.gc is False


def test_the_bits_of_columns_are_apart_from_the_bits_of_rows():
    assert [flag.name for flag in Flag if flag >= 1 << 16] == [
        flag.name for flag in Flag if flag.name.startswith("NO_")
    ]
