"""Bars are a function of the sequence of rows and events, whatever the cuts, the faces and the interruptions."""

from collections import defaultdict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.model import (
    MAX_PX,
    Bar,
    BarBatch,
    ControlEvent,
    Diverted,
    Flag,
    Gap,
    Origin,
    Quote,
    QuoteBatch,
    Switched,
    Trade,
    TradeBatch,
    Watermark,
)
from market_data_pipeline.operator import SecondBarAggregator
from market_data_pipeline.pipeline.entry import Entry

S = 1_000_000_000
BATCHES = {Quote: QuoteBatch, Trade: TradeBatch, Bar: BarBatch}
ORIGINS = (Origin("acme", "acme", 1, "live"), Origin("acme", "acme", 2, "live"))

times = st.integers(-S, 5 * S) | st.integers(-2, 10).map(lambda half: half * S // 2)
prices = st.integers(-MAX_PX, MAX_PX) | st.integers(1, 20)
sizes = st.none() | st.floats(0, 1e9) | st.integers(0, 100).map(float)
row_flags = st.sampled_from([0, 0, Flag.SNAPSHOT, Flag.TS_RECV_IS_EVENT, Flag.INEXACT_PX | Flag.OUT_OF_ORDER])
common = (
    st.sampled_from("ABC"),
    times,
    st.integers(0, 20 * S),
    st.integers(0, 99),
    row_flags,
    st.sampled_from(ORIGINS),
)
sides = st.none() | prices
trades = st.builds(Trade, *common, prices, sizes)
quotes = st.builds(Quote, *common, sides, sides, sizes, sizes)


@st.composite
def bars(draw):
    row = draw(trades)
    length = draw(st.sampled_from([S // 2, S]))
    start = row.ts_event - row.ts_event % length
    volume = draw(sizes) or 0.0
    return Bar(
        *(row.symbol, start + length, row.ts_recv, row.ordinal, row.flags, row.origin, start, start + length),
        *draw(st.lists(prices, min_size=4, max_size=4)),
        volume,
        draw(st.none() | st.floats(0, 1e6)) if volume else None,
        draw(st.integers(1, 50)),
        draw(st.sampled_from(["trade", "trade", "bid"])),
        is_final=draw(st.booleans()),
        complete=draw(st.booleans()),
    )


events = st.builds(
    lambda symbols, start, length, filled: Gap(
        source="acme", ts=0, symbols=symbols, start=start, end=start + length, reason="drop", filled=filled
    ),
    st.none() | st.frozensets(st.sampled_from("ABC"), max_size=2),
    times,
    st.integers(0, 3 * S),
    st.booleans(),
) | st.builds(lambda ts: Switched(source="acme", ts=ts, old="a", new="b", reason="r"), times)

KINDS = {"trade": trades, "quote": quotes, "bar": bars()}
CASES = [("trade", "trade"), ("bid", "quote"), ("mid", "quote"), ("trade", "bar")]


def streams(kind):
    """Rows and events in the order in which they came."""
    rows = KINDS[kind]
    return st.lists(st.one_of(rows, rows, rows, rows, rows, rows, events), min_size=4, max_size=14)


def cut(data, stream):
    """Return the stream as batches and events, cut at random, in random faces."""
    items, rows = [], []
    for index, item in enumerate(stream):
        if isinstance(item, ControlEvent):
            items.append(item)
            continue
        rows.append(item)
        following = stream[index + 1] if index + 1 < len(stream) else None
        joined = type(following) is type(item) and following.origin is item.origin
        if not joined or data.draw(st.booleans()):
            batch = BATCHES[type(item)](rows)
            items.append(batch.from_columns(batch.columns, batch.origin) if data.draw(st.booleans()) else batch)
            rows = []
    return items


def enter(items, lateness_ns, *, end=False):
    """Return the items as a pipeline's entry gives them on; `end`: with the watermark of a natural end."""
    entry = Entry("acme", lateness_ns)
    for item in items:
        if isinstance(item, ControlEvent):
            yield item
        else:
            yield from entry.take(item)
    if end:
        yield entry.end()


def feed(aggregator, items):
    """Give the items to an aggregator, and return what it answers."""
    return [
        aggregator.on_control(item) if isinstance(item, ControlEvent) else aggregator.on_batch(item) for item in items
    ]


def told(outcomes):
    """Return the bars and events that came out, one by one, as bytes; without watermarks and late rows."""
    found = []
    for outcome in outcomes:
        for item in outcome.items:
            if not isinstance(item, ControlEvent):
                found += map(msgspec.msgpack.encode, item.rows)
            elif not isinstance(item, (Watermark, Diverted)):
                found.append(repr(item).encode())
    return found


def run(aggregator, items):
    """Return all that comes out, to the end."""
    return told([*feed(aggregator, items), aggregator.finish()])


@pytest.mark.parametrize(("basis", "kind"), CASES)
@given(data=st.data())
def test_output_does_not_depend_on_cuts_and_faces(basis, kind, data):
    """SP-7: bars, and where events stand among them, to the byte."""
    stream = data.draw(streams(kind))
    lateness = data.draw(st.sampled_from([0, S // 2, 3 * S]))
    interval = data.draw(st.sampled_from(["1s", "3s"]))
    first, second = (
        run(SecondBarAggregator(interval=interval, basis=basis), enter(cut(data, stream), lateness)) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(("basis", "kind"), CASES)
@given(data=st.data())
def test_a_restored_aggregator_goes_on_as_if_nothing_had_happened(basis, kind, data):
    """SP-8: a snapshot at any point."""
    items = list(enter(cut(data, data.draw(streams(kind))), S))
    point = data.draw(st.integers(0, len(items)))
    interrupted, restored = SecondBarAggregator(basis=basis), SecondBarAggregator(basis=basis)
    found = told(feed(interrupted, items[:point]))
    restored.restore(interrupted.snapshot())
    assert found + run(restored, items[point:]) == run(SecondBarAggregator(basis=basis), items)


@st.composite
def shuffled(draw):
    """Trades as they happened, and the same as they came: none later than three seconds."""
    happened = sorted(draw(st.lists(trades.map(whole), max_size=16)), key=lambda row: row.ts_event)
    delays = draw(st.lists(st.integers(0, 3 * S), min_size=len(happened), max_size=len(happened)))
    came = [row for row, _ in sorted(zip(happened, delays, strict=True), key=lambda pair: pair[0].ts_event + pair[1])]
    return sorted(came, key=lambda row: row.ts_event), came


def whole(row):
    """The row with a size and price whose sums are exact, so that they do not depend on the order."""
    size = None if row.size is None else float(int(row.size) % 1000)
    return msgspec.structs.replace(row, size=size, px=row.px % 1_000_000, origin=ORIGINS[0])


@given(orders=shuffled(), data=st.data())
def test_an_order_within_the_lateness_is_as_good_as_the_sorted_one(orders, data):
    expected, found = (
        run(SecondBarAggregator(), enter(cut(data, order), lateness, end=True))
        for order, lateness in zip(orders, (0, 3 * S), strict=True)
    )
    assert expected == found


@given(data=st.data())
def test_no_volume_and_no_row_is_lost(data):
    rows = data.draw(st.lists(trades.map(whole), min_size=1, max_size=16))
    aggregator = SecondBarAggregator()
    items = list(enter(cut(data, rows), S))
    accepted = [row for item in items if isinstance(item, TradeBatch) for row in item.rows]
    outcomes = feed(aggregator, items)
    made = [
        row
        for outcome in [*outcomes, aggregator.finish()]
        for item in outcome.items
        if isinstance(item, BarBatch)
        for row in item.rows
    ]
    assert sum(outcome.folded for outcome in outcomes) == len(accepted)
    assert sum(bar.trades for bar in made) == len(accepted)
    assert sum(bar.volume for bar in made) == sum(row.size or 0 for row in accepted)


def model(rows, interval, price):
    """Return {(symbol, start): (open, high, low, close, volume, vwap, trades)}, made as plainly as possible."""
    groups = defaultdict(list)
    for row in rows:
        if price(row) is not None:
            groups[row.symbol, row.ts_event // interval * interval].append(row)
    result = {}
    for key, group in groups.items():
        ordered = [price(row) for row in sorted(group, key=lambda row: row.ts_event)]
        volume = notional = 0.0
        for row in group:
            if isinstance(row, Trade) and row.size is not None:
                volume += row.size
                notional += row.px * row.size
        vwap = notional / volume / S if volume else None
        result[key] = (ordered[0], max(ordered), min(ordered), ordered[-1], volume, vwap, len(group))
    return result


@pytest.mark.parametrize(
    ("basis", "kind", "price"),
    [("trade", "trade", lambda row: row.px), ("ask", "quote", lambda row: row.ask_px)],
)
@given(data=st.data())
def test_bars_are_those_of_a_plain_model(basis, kind, price, data):
    rows = data.draw(st.lists(KINDS[kind], min_size=1, max_size=16))
    aggregator = SecondBarAggregator(basis=basis, interval="2s")
    feed(aggregator, cut(data, rows))
    found = {
        (bar.symbol, bar.start): (
            *(bar.open_px, bar.high_px, bar.low_px, bar.close_px, bar.volume, bar.vwap),
            bar.trades,
        )
        for item in aggregator.finish().items
        for bar in item.rows
    }
    assert found == model(rows, 2 * S, price)


@given(data=st.data())
def test_longer_bars_from_bars_are_those_from_ticks(data):
    """Two aggregators in a row, each fed with the watermarks that the one before it passes on."""
    rows = data.draw(st.lists(trades.map(whole), min_size=1, max_size=16))
    items = list(enter(cut(data, rows), S))
    short, long, direct = SecondBarAggregator(), SecondBarAggregator(5), SecondBarAggregator(5)
    passed_on = [item for outcome in [*feed(short, items), short.finish()] for item in outcome.items]
    found, expected = (
        [without_vwap(msgspec.msgpack.decode(bar, type=Bar)) for bar in run(aggregator, given)]
        for aggregator, given in ((long, passed_on), (direct, items))
    )
    assert sorted(found) == sorted(expected)


def without_vwap(bar):
    """What two roundings in a row do not change."""
    return (bar.symbol, bar.start, bar.open_px, bar.high_px, bar.low_px, bar.close_px, bar.volume, bar.trades)
