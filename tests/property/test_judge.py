"""The judge of streams names the one defect of a stream, and finds none in a good one."""

import math
from collections.abc import Callable

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data_pipeline.contracts import BarsRequest, Capabilities, ChainRequest, StreamRequest
from market_data_pipeline.model import (
    BATCHES,
    MAX_PX,
    SCALE,
    Bar,
    BarBatch,
    Batch,
    Connected,
    Flag,
    Gap,
    OptionQuote,
    Origin,
    Quote,
    Refused,
    SourceState,
    Trade,
    TradeBatch,
    Watermark,
)
from market_data_pipeline.testing import RULES, judge_chain, judge_history, judge_stream

T0 = 1_704_205_800_000_000_000
SECOND = 1_000_000_000
ORIGIN = Origin("acme", "acme", 7, "live")
SYMBOLS = ("AAPL", "MSFT")
REQUEST = StreamRequest(symbols=SYMBOLS, kinds=frozenset({"quote", "trade", "bar"}))
CAPABILITIES = Capabilities(kinds=frozenset({"quote", "trade", "bar"}))

PX = st.integers(1 - MAX_PX, MAX_PX - 1).filter(lambda px: px not in {-SCALE, -SCALE - 1})
"""Whatever is a price, and one more or less too; -1 stands for none."""


@st.composite
def rows(draw) -> list:
    """Rows of every kind, at least three of each, in order."""
    made = []
    kinds = draw(st.permutations(["quote", "trade", "bar"] * draw(st.integers(3, 6))))
    for at, kind in enumerate(kinds):
        symbol = SYMBOLS[at % 2]
        px = draw(PX)
        size = draw(st.none() | st.integers(0, 10**6) | st.floats(0, 1e12))
        ts = T0 + at * SECOND
        head = (symbol, ts, ts + draw(st.integers(-SECOND, SECOND)), at, 0, ORIGIN)
        if kind == "quote":
            made.append(Quote(*head, px, draw(st.none() | st.just(px + 1)), size, None))
        elif kind == "trade":
            made.append(Trade(*head, px, size, None, draw(st.sampled_from([None, "buy", "sell"]))))
        else:
            high = max(px, draw(PX))
            made.append(Bar(*head, ts - SECOND, ts, px, high, px, high, size or 0.0, None, at))
    return made


def batches(made: list, cuts: list[bool]) -> list:
    items = [Connected(source="acme", ts=T0, origin=ORIGIN)]
    run: list = []
    for row, cut in zip(made, cuts, strict=True):
        if run and (cut or run[0].kind != row.kind):
            items.append(BATCHES[run[0].kind](run))
            run = []
        run.append(row)
    return [*items, BATCHES[run[0].kind](run)]


def judge(items, request=REQUEST, capabilities=CAPABILITIES, **options):
    return judge_stream(items, request=request, capabilities=capabilities, **options)


def names(violations) -> set[str]:
    return {violation.name for violation in violations}


@given(st.data(), rows())
def test_a_good_stream_has_no_violation(data, made):
    cuts = data.draw(st.lists(st.booleans(), min_size=len(made), max_size=len(made)))
    assert judge(batches(made, cuts)) == []


@given(rows())
def test_a_good_stream_of_columns_has_no_violation(made):
    items = [
        type(item).from_columns(item.columns, item.origin) if isinstance(item, Batch) else item
        for item in batches(made, [True] * len(made))
    ]
    assert judge(items) == []


replace: Callable = msgspec.structs.replace

DEFECTS: dict[str, list[tuple[str, Callable]]] = {
    "type": [
        ("quote", lambda row: replace(row, bid_px=1.5)),
        ("trade", lambda row: replace(row, px=True)),
        ("trade", lambda row: replace(row, px=None)),
        ("trade", lambda row: replace(row, side="BUY")),
        ("bar", lambda row: replace(row, basis="last")),
        ("quote", lambda row: replace(row, symbol=b"AAPL")),
        ("trade", lambda row: replace(row, ts_event=float(row.ts_event))),
        ("trade", lambda row: replace(row, size="100")),
    ],
    "symbol": [("quote", lambda row: replace(row, symbol="GOOG")), ("bar", lambda row: replace(row, symbol="aapl"))],
    "time-unit": [
        ("quote", lambda row: replace(row, ts_recv=row.ts_recv // 1_000_000)),
        ("trade", lambda row: replace(row, ts_recv=0)),
    ],
    "time-order": [
        ("quote", lambda row: replace(row, ts_event=row.ts_event - 10_000 * SECOND)),
        ("trade", lambda row: replace(row, ts_event=row.ts_event - 10_000 * SECOND)),
    ],
    "ordinal": [("quote", lambda row: replace(row, ordinal=-5)), ("trade", lambda row: replace(row, ordinal=-5))],
    "sentinel": [
        ("quote", lambda row: replace(row, bid_size=math.nan)),
        ("trade", lambda row: replace(row, size=math.inf)),
        ("trade", lambda row: replace(row, size=-1)),
        ("quote", lambda row: replace(row, bid_px=-SCALE, ask_px=-SCALE)),
        ("quote", lambda row: replace(row, bid_px=-SCALE, bid_size=0)),
        ("trade", lambda row: replace(row, px=-SCALE, size=None)),
        ("bar", lambda row: replace(row, volume=-1.0)),
        ("bar", lambda row: replace(row, vwap=-math.inf)),
    ],
    "price-bound": [
        ("quote", lambda row: replace(row, ask_px=MAX_PX + 1)),
        ("trade", lambda row: replace(row, px=-(2**63) + 1)),
    ],
    "bar-shape": [
        ("bar", lambda row: replace(row, start=row.end)),
        ("bar", lambda row: replace(row, start=row.start - SECOND, end=row.end - SECOND)),
        ("bar", lambda row: replace(row, high_px=row.low_px - 1)),
        ("bar", lambda row: replace(row, open_px=row.low_px - 1)),
        ("bar", lambda row: replace(row, close_px=row.high_px + 1)),
    ],
}


CASES = [(name, *case) for name, cases in DEFECTS.items() for case in cases]


@pytest.mark.parametrize(("name", "kind", "defect"), CASES, ids=range(len(CASES)))
@settings(max_examples=10)
@given(data=st.data(), made=rows())
def test_a_defect_of_a_row_is_named_and_nothing_else(name, kind, defect, data, made):
    row = data.draw(st.sampled_from([row for row in made if row.kind == kind]))
    shift = 100 * SECOND
    later = {"ts_event": row.ts_event + shift, "ordinal": len(made)}
    if kind == "bar":
        later |= {"start": row.start + shift, "end": row.end + shift}
    good = replace(row, **later)
    items = batches(made, [True] * len(made))
    assert judge([*items, BATCHES[kind]([good])]) == []
    assert names(judge([*items, BATCHES[kind]([defect(good)])])) == {name}


def test_rows_of_a_batch_have_its_origin():
    other = trade(1, origin=Origin("acme", "acme", 8, "live"))
    assert names(judge([TradeBatch([trade(), other])])) == {"origin"}


def trade(ordinal=0, *, ts=T0, origin=ORIGIN, symbol="AAPL", flags=0):
    return Trade(symbol, ts, ts, ordinal, flags, origin, SCALE, 1.0)


def test_a_row_that_comes_twice_is_a_duplicate():
    batch = TradeBatch([trade()])
    assert names(judge([batch, batch])) == {"duplicate"}
    assert judge([batch, batch], tolerate={"duplicate"}) == []


def test_a_late_row_that_says_so_is_in_order():
    late = trade(0, ts=T0, flags=int(Flag.OUT_OF_ORDER))
    assert judge([TradeBatch([trade(1, ts=T0 + 1)]), TradeBatch([late])]) == []


def test_an_earlier_epoch_is_not_used_again():
    old, new = (Origin("acme", "acme", epoch, "live") for epoch in (7, 8))
    items = [TradeBatch([trade(origin=old)]), TradeBatch([trade(origin=new)]), TradeBatch([trade(1, origin=old)])]
    assert names(judge(items)) == {"epoch"}


def test_an_origin_is_connected_once():
    connected = Connected(source="acme", ts=T0, origin=ORIGIN)
    assert names(judge([connected, connected])) == {"epoch"}


def test_a_mode_is_declared():
    assert names(judge([TradeBatch([trade(origin=Origin("acme", "acme", 7, "delayed"))])])) == {"mode"}


def test_the_fields_of_an_origin_have_their_types():
    assert names(judge([TradeBatch([trade(origin=Origin("acme", "acme", "7", "live"))])])) == {"type"}  # type: ignore[arg-type]


def test_kinds_are_requested_and_declared():
    items = [TradeBatch([trade()])]
    assert names(judge(items, StreamRequest(symbols=SYMBOLS))) == {"kind"}
    assert names(judge(items, capabilities=Capabilities(kinds=frozenset({"quote"})))) == {"undeclared-kind"}


def test_a_position_needs_a_source_that_can_resume():
    items = [TradeBatch([trade()], position="1")]
    assert names(judge(items)) == {"position"}
    assert judge(items, capabilities=attrs.evolve(CAPABILITIES, resumable=True)) == []


def test_faces_that_differ_are_named():
    batch = TradeBatch([trade()])
    batch._columns = TradeBatch([trade(symbol="MSFT")]).columns
    assert names(judge([batch])) == {"faces"}


def test_rows_of_another_kind_are_named():
    batch = TradeBatch([trade()])
    batch._rows = (Quote("AAPL", T0, T0, 0, 0, ORIGIN, 1, 2, None, None),)
    assert names(judge([batch])) == {"type"}


@pytest.mark.parametrize("item", [trade(), None, "row", [trade()]])
def test_only_batches_and_events_are_items(item):
    assert names(judge([item])) == {"item"}


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("gap", Gap(source="acme", ts=T0, start=2, end=2, reason="drop")),
        ("gap", Gap(source="acme", ts=T0, start=1, end=2.5, reason="drop")),
        ("gap", Gap(source="acme", ts=T0, start=1, end=2, reason="sleep")),
        ("gap", Gap(source="acme", ts=T0, start=1, end=2, reason="drop", rows=-1)),
        ("symbol", Gap(source="acme", ts=T0, start=1, end=2, reason="drop", symbols=frozenset({"GOOG"}))),
        ("event", Watermark(source="acme", ts=T0, ts_event=T0)),
        ("event", SourceState(source="", ts=T0, state="live")),
        ("event", SourceState(source="acme", ts=None, state="live")),
        ("event", SourceState(source="acme", ts=T0, state="happy")),
        ("event", Refused(source="acme", ts=T0, error="UnknownSymbol")),
        ("event", SourceState(source="acme", ts=T0, state="live", symbols=["AAPL"])),
        ("event", Connected(source="acme", ts=T0, origin="acme")),
    ],
)
def test_a_malformed_event_is_named(name, event):
    assert names(judge([event])) == {name}


def test_well_formed_events_pass():
    gap = Gap(source="acme", ts=T0, start=1, end=2, reason="drop", rows=0, symbols=frozenset({"AAPL"}))
    refused = Refused(source="acme", ts=T0, symbols=frozenset({"MSFT"}), error="UnknownSymbol: no MSFT")
    assert judge([gap, refused, SourceState(source="acme", ts=T0, state="live")]) == []


HISTORY = BarsRequest(symbol="AAPL", start=T0, end=T0 + 60 * SECOND, interval_ns=SECOND)
PAST = Capabilities(history=frozenset({"bar"}))


def bar(at=0, *, length=SECOND, **changes):
    start = T0 + at * SECOND
    end = start + length
    origin = Origin("acme", "acme", 7, "backfill")
    return replace(Bar("AAPL", end, end, at, 0, origin, start, end, 1, 2, 1, 2, 0.0, None, 1), **changes)


def test_history_within_the_request_passes():
    assert judge_history([BarBatch([bar(0), bar(1)])], request=HISTORY, capabilities=PAST) == []


@pytest.mark.parametrize(
    ("name", "bars"),
    [
        ("range", [bar(-1)]),
        ("range", [bar(60)]),
        ("range", [bar(length=2 * SECOND)]),
        ("range", [bar(basis="bid")]),
        ("time-order", [bar(1), bar(0)]),
        ("duplicate", [bar(0), bar(0)]),
        ("symbol", [bar(0, symbol="MSFT")]),
    ],
)
def test_history_outside_of_the_request_is_named(name, bars):
    assert names(judge_history([BarBatch(bars)], request=HISTORY, capabilities=PAST)) == {name}


CHAIN = ChainRequest(underlying="AAPL", expiries=("2024-01-01", "2024-12-31"), strikes=(SCALE, 9 * SCALE))


def contract(**changes):
    values = {"symbol": "A1", "underlying": "AAPL", "expiry": "2024-06-21", "strike_px": SCALE, "right": "call"}
    return OptionQuote(**(values | {"ts_event": T0, "ts_recv": T0, "origin": ORIGIN} | changes))


def test_a_chain_within_the_request_passes():
    quotes = [contract(), contract(right="put"), contract(strike_px=2 * SCALE), contract(expiry="2024-07-19")]
    assert judge_chain(quotes, request=CHAIN, capabilities=PAST) == []


@pytest.mark.parametrize(
    ("name", "quotes"),
    [
        ("filter", [contract(expiry="2025-01-17")]),
        ("filter", [contract(strike_px=10 * SCALE)]),
        ("contract", [contract(expiry="20240621")]),
        ("contract", [contract(strike_px=0)]),
        ("type", [contract(right="C")]),
        ("symbol", [contract(underlying="MSFT")]),
        ("mode", [contract(origin=Origin("acme", "acme", 1, "delayed"))]),
        ("sentinel", [contract(bid_size=-1.0)]),
        ("sentinel", [contract(delta=math.nan)]),
        ("time-unit", [contract(ts_event=1_704_205_800)]),
        ("chain-order", [contract(right="put"), contract()]),
        ("chain-order", [contract(), contract()]),
        ("item", ["AAPL"]),
    ],
)
def test_a_chain_outside_of_the_request_is_named(name, quotes):
    assert names(judge_chain(quotes, request=CHAIN, capabilities=PAST)) == {name}


def test_a_violation_says_where_what_and_what_to_do():
    (found,) = judge([TradeBatch([trade(symbol="GOOG")])])
    assert str(found) == (
        "symbol: item 0, row 0: GOOG, and AAPL, MSFT was asked for; yield rows of the requested symbols alone, under "
        "the very strings of the request"
    )
    assert found.advice == RULES["symbol"]
