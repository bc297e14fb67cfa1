"""The judge names each defect of a stream, and none in a good one."""

import math

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.contracts import Capabilities, StreamRequest
from market_data_pipeline.model import Bar, BarBatch, Connected, Flag, Gap, Origin, Quote, QuoteBatch, Trade, TradeBatch
from market_data_pipeline.testing import judge_stream

T = 1_700_000_000_000_000_000
ORIGIN = Origin("a", "a", 7, "live")
REQUEST = StreamRequest(symbols=("A", "B"), kinds=frozenset({"quote"}))
CAPABILITIES = Capabilities(kinds=frozenset({"quote", "trade"}))


def quote(number, symbol="A", **changes):
    row = Quote(symbol, T + number, T + number, number, 0, ORIGIN, 10**9, 2 * 10**9, 1.0, None)
    return msgspec.structs.replace(row, **changes)


def stream(*rows):
    return [QuoteBatch([row]) for row in rows]


def codes(items, **options):
    return [found.code for found in judge_stream(items, **{"request": REQUEST, "capabilities": CAPABILITIES} | options)]


def bar(**changes):
    row = Bar("A", T + 10, T + 10, 1, 0, ORIGIN, T, T + 10, 5, 9, 1, 4, 1.0, None, 3)
    return [BarBatch([msgspec.structs.replace(row, **changes)])]


BARS = {
    "request": StreamRequest(symbols=("A",), kinds=frozenset({"bar"})),
    "capabilities": Capabilities(kinds=frozenset({"bar"})),
}

good = st.lists(st.sampled_from("AB"), min_size=3, max_size=12).map(
    lambda symbols: [quote(number, symbol) for number, symbol in enumerate(symbols)]
)
DEFECTS = {
    "unasked-symbol": {"symbol": "C"},
    "sentinel": {"bid_size": math.nan},
    "price": {"bid_px": 10**18},
    "time": {"ts_recv": 1_700_000_000},
    "flags": {"flags": int(Flag.TS_EVENT_IS_RECV), "ts_recv": T},
}


@given(good)
def test_a_good_stream_has_no_violation(rows):
    assert codes(stream(*rows)) == []


@pytest.mark.parametrize("code", DEFECTS)
@given(good, st.data())
def test_one_defect_gives_exactly_its_violation(code, rows, data):
    at = data.draw(st.integers(1, len(rows) - 1))
    rows[at] = msgspec.structs.replace(rows[at], **DEFECTS[code])
    found = judge_stream(stream(*rows), request=REQUEST, capabilities=CAPABILITIES)
    assert [(one.code, one.index) for one in found] == [(code, at)]


@pytest.mark.parametrize(
    "change", [{"bid_px": -(10**9)}, {"ask_size": -1.0}, {"ask_size": math.inf}, {"bid_px": math.nan}]
)
def test_a_sentinel_is_named(change):
    assert codes(stream(quote(0, **change))) == ["sentinel"]


def test_a_price_below_zero_may_be_real():
    assert codes(stream(quote(0, bid_px=-5)), negative_prices=True) == []


def test_a_crossed_quote_is_no_violation():
    assert codes(stream(quote(0, bid_px=3 * 10**9))) == []


def test_time_goes_back_only_if_it_is_flagged():
    back = quote(2, ts_event=T)
    assert codes(stream(quote(1), back)) == ["time-order"]
    assert codes(stream(quote(1), msgspec.structs.replace(back, flags=int(Flag.OUT_OF_ORDER)))) == []


def test_symbols_are_ordered_each_by_itself():
    assert codes(stream(quote(1), quote(2, "B", ts_event=T))) == []


def test_ordinals_grow_and_are_not_used_twice():
    assert codes(stream(quote(1), quote(2, ordinal=1))) == ["duplicate"]
    assert codes(stream(quote(1), quote(2, ordinal=0))) == ["ordinal"]


@pytest.mark.parametrize(("source", "expected"), [("a", ["epoch"]), ("replay", [])])
def test_epochs_go_back_only_in_what_was_recorded(source, expected):
    old, new = (Origin("a", source, epoch, "live") for epoch in (1, 2))
    assert codes(stream(quote(0, origin=new), quote(1, origin=old))) == expected


def test_what_was_not_asked_for_or_declared_is_named():
    trade = [TradeBatch([Trade("A", T, T, 0, 0, ORIGIN, 1, 1.0)])]
    assert codes(trade) == ["unasked-kind"]
    assert codes(trade, capabilities=Capabilities(kinds=frozenset({"quote"}))) == ["undeclared-kind"]
    assert codes(stream(quote(0, origin=Origin("a", "a", 1, "frozen")))) == ["mode"]


def test_a_position_is_only_where_a_source_can_resume():
    items = [QuoteBatch([quote(0)], position="1")]
    assert codes(items) == ["position"]
    assert codes(items, capabilities=attrs.evolve(CAPABILITIES, resumable=True)) == []


def test_a_batch_has_one_origin():
    assert codes([QuoteBatch([quote(0), quote(1, origin=Origin("a", "a", 8, "live"))])]) == ["origin"]


def test_rows_that_make_no_columns_are_named():
    assert codes([QuoteBatch([quote(0, ordinal=2**70)])]) == ["faces"]


def test_events_are_judged():
    connected = Connected(source="a", ts=T, origin=ORIGIN)
    gap = Gap(source="a", ts=T, start=5, end=5, reason="stall")
    assert codes([connected, *stream(quote(0)), attrs.evolve(gap, end=6)]) == []
    assert codes([*stream(quote(0)), connected]) == ["connected"]
    assert codes([gap]) == ["gap"]
    assert codes(["text"]) == ["type"]


def test_what_comes_after_close_is_named():
    assert codes(stream(quote(0), quote(1)), closed_at=1) == ["after-close"]


def test_bars_hold_their_prices_and_end_when_they_end():
    assert codes(bar(), **BARS) == []
    assert codes(bar(low_px=5), **BARS) == ["bar"]
    assert codes(bar(start=T + 10), **BARS) == ["bar"]
    assert codes(bar(ts_event=T + 9), **BARS) == ["bar"]


def test_a_violation_says_where_what_and_what_to_do():
    (found,) = judge_stream(stream(quote(0, "C")), request=REQUEST, capabilities=CAPABILITIES)
    assert str(found) == (
        "unasked-symbol: item 0 of C: nobody asked for it: "
        "give back the very string of the request, and drop all others"
    )
