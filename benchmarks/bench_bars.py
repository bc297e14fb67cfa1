"""Ticks to one-second bars: rows against bytewax, cryptofeed and NautilusTrader, columns against DuckDB and Polars.

Every side starts from inputs of its own type, made beforehand, on one thread. Goals: rows through the whole pipeline at
least 3.5 times as fast as cryptofeed, 4 times as NautilusTrader, 15 times as bytewax, at most 1.5 times the bare loop;
columns at least as fast as DuckDB and Polars on the same arrays, at most 4 times a compiled loop over all of them.
"""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

os.environ["POLARS_MAX_THREADS"] = "1"

import bytewax.operators as op
import bytewax.operators.windowing as win
import duckdb
import numba
import numpy as np
import polars as pl
import pyarrow as pa
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main
from common import Kept, Prepared
from cryptofeed.backends import aggregate
from cryptofeed.types import Trade as CryptoTrade
from nautilus_trader.common.component import TestClock
from nautilus_trader.data.aggregation import TimeBarAggregator
from nautilus_trader.model.data import BarType, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from ratio import measure, per_row
from results import at_least, at_most, timed

from market_data_pipeline.model import END_OF_TIME, BarBatch, Origin, Trade, TradeBatch, Watermark, to_decimal
from market_data_pipeline.model.columns import Columns
from market_data_pipeline.operator import SecondBarAggregator
from market_data_pipeline.pipeline import StreamingPipeline

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
SYMBOLS = [f"S{number}" for number in range(100)]
COUNT_OF_SYMBOLS = len(SYMBOLS)
PER_SECOND = 5_000  # fifty ticks a bar
ORIGIN = Origin("bench", "bench", 1, "synthetic")


def ticks(count):
    """Return a trade column set: prices in whole cents, whole sizes, so that every tool's sums are exact."""
    random = np.random.default_rng(7)
    ts = np.sort(random.integers(1, count // PER_SECOND * SECOND, count))
    ts += ts % SECOND == 0  # intervals are open on the left there and on the right here
    text = np.zeros(count, "i4")
    arrays = {
        "symbol": random.integers(0, len(SYMBOLS), count, "i4"),
        "ts_event": START + ts,
        "ts_recv": START + ts,
        "ordinal": np.arange(count),
        "flags": np.zeros(count, "i4"),
        "px": random.integers(10_000, 20_000, count) * 10_000_000,
        "size": random.integers(1, 1_000, count).astype("f8"),
        **dict.fromkeys(("trade_id", "side", "conditions"), text),
    }
    words = {"symbol": SYMBOLS, **dict.fromkeys(("trade_id", "side", "conditions"), (None,))}
    return TradeBatch.from_columns(Columns(arrays, words), ORIGIN)


def cuts(batch, size):
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def made(items):
    """Return {(symbol, start): open, high, low, close, volume} of the bars among the items."""
    return {
        (bar.symbol, bar.start): (bar.open_px, bar.high_px, bar.low_px, bar.close_px, bar.volume)
        for item in items
        if isinstance(item, BarBatch)
        for bar in item.rows
    }


# --- our side ---------------------------------------------------------------------------------------------------------


def through_pipeline(batches):
    sink = Kept()
    asyncio.run(StreamingPipeline(source=Prepared(batches), operator=SecondBarAggregator(), sink=sink).run())
    return sink.items


def through_operator(batches):
    aggregator, items = SecondBarAggregator(), []
    for batch in batches:
        aggregator.on_batch(batch)
        newest = batch.rows[-1].ts_event if batch.born == "rows" else int(batch.columns["ts_event"][-1])
        items += aggregator.on_control(Watermark(source="bench", ts=0, ts_event=newest)).items
    items += aggregator.on_control(Watermark(source="bench", ts=0, ts_event=END_OF_TIME)).items
    return items


def bare_loop(batches):
    """The least that Python needs for open, high, low, close, volume and value of each bar."""
    bars, done = {}, []
    for batch in batches:
        for row in batch.rows:
            start = row.ts_event // SECOND
            bar = bars.get(row.symbol)
            px, size = row.px, row.size
            if bar is None or bar[0] != start:
                bars[row.symbol] = bar = [start, px, px, px, px, size, px * size, 1]
                done.append(bar)
                continue
            if px > bar[2]:
                bar[2] = px
            elif px < bar[3]:
                bar[3] = px
            bar[4] = px
            bar[5] += size
            bar[6] += px * size
            bar[7] += 1
    return done


# --- theirs -----------------------------------------------------------------------------------------------------------


def cryptofeed(rows):
    """Its OHLCV callback goes by the wall clock: the time of each trade is put in its place."""
    trades = [
        CryptoTrade("bench", row.symbol, "buy", Decimal(int(row.size)), to_decimal(row.px), row.ts_event / SECOND)
        for row in rows
    ]
    times = [row.ts_event / SECOND for row in rows]

    async def feed():
        bars = []

        async def keep(data):  # noqa: RUF029 - it awaits its handler
            bars.append(data)

        callback = aggregate.OHLCV(keep, window=1)
        callback.last_update = START / SECOND
        aggregate.time = SimpleNamespace(time=iter(times).__next__)
        for trade, ts in zip(trades, times, strict=True):
            await callback(trade, ts)
        return bars

    def run():
        aggregate.time = SimpleNamespace(time=lambda: 0.0)
        return asyncio.run(feed())

    return run


def nautilus(rows):
    """The clock is advanced at every tick, as its own engines do it."""
    venue = [TestInstrumentProvider.equity(symbol=symbol, venue="XNAS") for symbol in SYMBOLS]
    of = dict(zip(SYMBOLS, venue, strict=True))
    trades = [
        TradeTick(
            *(of[row.symbol].id, Price(row.px / SECOND, 2), Quantity.from_int(int(row.size)), AggressorSide.BUYER),
            *(TradeId(str(row.ordinal)), row.ts_event, row.ts_event),
        )
        for row in rows
    ]

    def run():
        clock, bars = TestClock(), []
        clock.set_time(START)
        aggregators = {
            symbol: TimeBarAggregator(
                instrument, BarType.from_str(f"{symbol}.XNAS-1-SECOND-LAST-INTERNAL"), bars.append, clock
            )
            for symbol, instrument in of.items()
        }
        to = [aggregators[row.symbol] for row in rows]
        for aggregator, trade in zip(to, trades, strict=True):
            for event in clock.advance_time(trade.ts_event):
                event.handle()
            aggregator.handle_trade_tick(trade)
        return bars

    return run


def bytewax(rows):
    """Fold each window of its event clock into open, high, low, close and volume.

    That clock goes on with the system's between rows, so that rows would be late on a slow machine if it did not wait.
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    stream = [
        (row.symbol, (epoch + timedelta(microseconds=row.ts_event // 1000), row.px / SECOND, row.size)) for row in rows
    ]

    def fold(bar, trade):
        _, px, size = trade
        if bar is None:
            return (px, px, px, px, size)
        return (bar[0], max(bar[1], px), min(bar[2], px), px, bar[4] + size)

    def merge(one, other):
        return (one[0], max(one[1], other[1]), min(one[2], other[2]), other[3], one[4] + other[4])

    def run():
        bars = []
        flow = Dataflow("bars")
        trades = op.input("in", flow, TestingSource(stream, batch_size=256))
        clock = win.EventClock(ts_getter=lambda trade: trade[0], wait_for_system_duration=timedelta(seconds=2))
        windower = win.TumblingWindower(
            align_to=epoch + timedelta(microseconds=START // 1000), length=timedelta(seconds=1)
        )
        made = win.fold_window("fold", trades, clock, windower, lambda: None, fold, merge)
        op.output("out", made.down, TestingSink(bars))
        run_main(flow)
        return bars

    return run


@numba.njit(cache=False)
def compiled(symbol, ts, px, size, bars):
    """Fill `bars`, by symbol and second: open, high, low, close, count in ints, volume and value in floats."""
    ints, floats = bars
    seconds = len(ints) // COUNT_OF_SYMBOLS
    for index in range(len(ts)):
        at = symbol[index] * seconds + ts[index] // 1_000_000_000
        price = px[index]
        if ints[at, 4] == 0:
            ints[at, 0] = ints[at, 1] = ints[at, 2] = price
        ints[at, 1] = max(ints[at, 1], price)
        ints[at, 2] = min(ints[at, 2], price)
        ints[at, 3] = price
        ints[at, 4] += 1
        floats[at, 0] += size[index]
        floats[at, 1] += price * size[index]


def whole_arrays(batch):
    """The limit: one compiled loop over all rows at once, into a table that is as large as it must be."""
    columns = batch.columns
    symbol, ts, px, size = columns["symbol"], columns["ts_event"] - START, columns["px"], columns["size"]
    seconds = int(ts.max()) // SECOND + 1

    def run():
        ints = np.zeros((len(SYMBOLS) * seconds, 5), "i8")
        floats = np.zeros((len(SYMBOLS) * seconds, 2))
        compiled(symbol, ts, px, size, (ints, floats))
        return ints, floats

    return run


DUCKDB = """
    SELECT symbol, ts_event // 1000000000 AS second, {first} AS open, max(px) AS high, min(px) AS low, {last} AS close,
           sum(size) AS volume, sum(px * size) / sum(size) AS vwap, count(*) AS trades
    FROM ticks GROUP BY ALL"""


def table(batch):
    columns = batch.columns
    symbol = pa.DictionaryArray.from_arrays(pa.array(columns["symbol"]), pa.array(SYMBOLS))
    return pa.table({"symbol": symbol, **{name: pa.array(columns[name]) for name in ("ts_event", "px", "size")}})


def duckdb_sql(ticks, first, last):
    connection = duckdb.connect(config={"threads": 1})
    connection.register("ticks", ticks)
    return lambda: connection.sql(DUCKDB.format(first=first, last=last)).to_arrow_table()


def polars(ticks):
    frame = pl.from_arrow(ticks)
    px, size = pl.col("px"), pl.col("size")
    bar = {
        "open": px.first(),
        "high": px.max(),
        "low": px.min(),
        "close": px.last(),
        "volume": size.sum(),
        "vwap": (px * size).sum() / size.sum(),
        "trades": pl.len(),
    }
    return lambda: frame.group_by("symbol", (pl.col("ts_event") // SECOND).alias("second")).agg(**bar).to_arrow()


def of_table(result):
    names = ("open", "high", "low", "close", "volume")
    return {(row["symbol"], row["second"] * SECOND): tuple(row[name] for name in names) for row in result.to_pylist()}


def of_nautilus(bars):
    return {
        (str(bar.bar_type.instrument_id.symbol), bar.ts_event - SECOND): tuple(
            map(str, (bar.open, bar.high, bar.low, bar.close, bar.volume))
        )
        for bar in bars
    }


def of_arrays(ints, floats):
    seconds = len(ints) // len(SYMBOLS)
    return {
        (SYMBOLS[at // seconds], START + at % seconds * SECOND): (*ints[at, :4].tolist(), floats[at, 0])
        for at in np.flatnonzero(ints[:, 4]).tolist()
    }


PIPELINE, FULL = "the whole pipeline, batches of 256", "the whole pipeline, batches of 1 024"
LOOP, ALONE = "a bare Python loop that keeps the same seven values", "the operator alone"
CRYPTOFEED, NAUTILUS = "cryptofeed OHLCV", "NautilusTrader TimeBarAggregator, its clock advanced at every trade"
BYTEWAX = "bytewax fold_window, EventClock"
FEW = 20_000
"""Rows for the slowest side."""


def bench_rows(count):
    batch = ticks(count)
    live = [TradeBatch(part.rows) for part in cuts(batch, 256)]
    rows = [row for part in live for row in part.rows]
    assert isinstance(rows[0], Trade)
    full = [TradeBatch(part.rows) for part in cuts(batch, 1024)]
    arms = {
        PIPELINE: lambda: through_pipeline(live),
        FULL: lambda: through_pipeline(full),
        ALONE: lambda: through_operator(live),
        LOOP: lambda: bare_loop(live),
        CRYPTOFEED: cryptofeed(rows),
        NAUTILUS: nautilus(rows),
    }
    slow = {BYTEWAX: bytewax(rows[:FEW])}
    results = {name: run() for name, run in (arms | slow).items()}
    ours = made(results[PIPELINE])
    assert ours == made(results[ALONE])
    assert len(ours) == len(results[LOOP])
    texts = {
        key: (*(f"{to_decimal(px):.2f}" for px in bar[:4]), str(int(bar[4])))
        for key, bar in ours.items()
        if key[1] < START + (count // PER_SECOND - 1) * SECOND
    }
    assert texts == of_nautilus(results[NAUTILUS])
    first = {
        key: (*(px / SECOND for px in bar[:4]), bar[4])
        for key, bar in made(through_pipeline(cuts(batch[:FEW], 256))).items()
    }
    assert first == {(symbol, START + number * SECOND): bar for symbol, (number, bar) in results[BYTEWAX]}
    print(f"{len(ours)} bars; cryptofeed {sum(map(len, results[CRYPTOFEED]))}, which do not begin on a second")
    times = per_row(measure(arms), count) | per_row(measure(slow, rounds=3), FEW)
    table = timed("rows", "ns a trade", times, PIPELINE)
    table.goals += [
        at_least(1, 3.5, times[CRYPTOFEED] / times[PIPELINE], "objects to bars, times as fast as cryptofeed", " x"),
        at_least(1, 4, times[NAUTILUS] / times[PIPELINE], "objects to bars, times as fast as NautilusTrader", " x"),
        at_least(1, 15, times[BYTEWAX] / times[PIPELINE], "objects to bars, times as fast as bytewax", " x"),
        at_most(1, 1.5, times[PIPELINE] / times[LOOP], "objects to bars, times the bare loop's time", " x"),
    ]
    table.publish()


DUCK, DUCK_FIRST = "DuckDB, `arg_min` and `arg_max` by time", "DuckDB, `first` and `last` of the input order"
POLARS, COMPILED = "Polars `group_by`", "one loop over the whole arrays, compiled by numba"
COLUMNS = "the whole pipeline, batches of 65 536"


def bench_columns(count):
    batch = ticks(count)
    parts = cuts(batch, 65_536)
    arrow = table(batch)
    arms = {
        COLUMNS: lambda: through_pipeline(parts),
        ALONE: lambda: through_operator(parts),
        DUCK_FIRST: duckdb_sql(arrow, "first(px)", "last(px)"),
        DUCK: duckdb_sql(arrow, "arg_min(px, ts_event)", "arg_max(px, ts_event)"),
        POLARS: polars(arrow),
        COMPILED: whole_arrays(batch),
    }
    results = {name: run() for name, run in arms.items()}
    ours = made(results[COLUMNS])
    for name, result in results.items():
        of = made if isinstance(result, list) else of_table if name != COMPILED else lambda arrays: of_arrays(*arrays)
        assert ours == of(result), name
    times = per_row(measure(arms), count)
    columns = timed("columns", "ns a trade", times, COLUMNS)
    columns.goals += [
        at_most(4, 1, times[COLUMNS] / times[DUCK_FIRST], "columns to bars, times DuckDB's time", " x"),
        at_most(4, 1, times[COLUMNS] / times[POLARS], "columns to bars, times the time of Polars", " x"),
        at_most(4, 4, times[COLUMNS] / times[COMPILED], "columns to bars, times the compiled loop's time", " x"),
    ]
    columns.publish()


if __name__ == "__main__":
    bench_rows(100_000)
    bench_columns(1_000_000)
