"""Ticks to one-second bars: rows against cryptofeed and NautilusTrader, columns against DuckDB and Polars.

Every side starts from inputs of its own type, made beforehand, on one thread. Goals: rows through the whole pipeline at
least 3.5 times as fast as cryptofeed, 4 times as NautilusTrader, at most 1.5 times the bare loop; columns at least as
fast as DuckDB and Polars on the same arrays.
"""

import asyncio
import os
from decimal import Decimal
from types import SimpleNamespace

os.environ["POLARS_MAX_THREADS"] = "1"

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from cryptofeed.backends import aggregate
from cryptofeed.types import Trade as CryptoTrade
from nautilus_trader.common.component import TestClock
from nautilus_trader.data.aggregation import TimeBarAggregator
from nautilus_trader.model.data import BarType, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from ratio import measure, report

from market_data_pipeline.contracts import Capabilities, SourceStatus
from market_data_pipeline.model import END_OF_TIME, BarBatch, Origin, Trade, TradeBatch, Watermark, to_decimal
from market_data_pipeline.model.columns import Columns
from market_data_pipeline.operator import SecondBarAggregator
from market_data_pipeline.pipeline import StreamingPipeline

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
SYMBOLS = [f"S{number}" for number in range(100)]
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


class Prepared:
    """A source of batches that are there already."""

    symbols = SYMBOLS
    capabilities = Capabilities(kinds=frozenset({"trade"}), pausable=True)

    def __init__(self, batches):
        self._batches = batches

    async def start(self):
        pass

    async def batches(self):
        for batch in self._batches:
            yield batch

    async def status(self):
        return SourceStatus(connected=True)

    async def close(self):
        pass


class Kept:
    """A sink that keeps what it gets."""

    guarantee = "best_effort"

    def __init__(self):
        self.items = []

    async def open(self, pipeline):
        pass

    async def write(self, item):
        self.items.append(item)

    async def commit(self, position, state):
        pass

    async def close(self):
        pass


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


def bench_rows(count):
    batch = ticks(count)
    live = [TradeBatch(part.rows) for part in cuts(batch, 256)]
    rows = [row for part in live for row in part.rows]
    assert isinstance(rows[0], Trade)
    full = [TradeBatch(part.rows) for part in cuts(batch, 1024)]
    arms = {
        "pipeline, rows in batches of 256": lambda: through_pipeline(live),
        "pipeline, rows in batches of 1 024": lambda: through_pipeline(full),
        "SecondBarAggregator alone": lambda: through_operator(live),
        "bare Python loop": lambda: bare_loop(live),
        "cryptofeed OHLCV": cryptofeed(rows),
        "NautilusTrader TimeBarAggregator": nautilus(rows),
    }
    results = {name: run() for name, run in arms.items()}
    ours = made(results["pipeline, rows in batches of 256"])
    assert ours == made(results["SecondBarAggregator alone"])
    assert len(ours) == len(results["bare Python loop"])
    texts = {
        key: (*(f"{to_decimal(px):.2f}" for px in bar[:4]), str(int(bar[4])))
        for key, bar in ours.items()
        if key[1] < START + (count // PER_SECOND - 1) * SECOND
    }
    assert texts == of_nautilus(results["NautilusTrader TimeBarAggregator"])
    print(
        f"\n{len(ours)} bars; cryptofeed {sum(map(len, results['cryptofeed OHLCV']))}, which do not begin on a second"
    )
    report("rows to bars", measure(arms), count, "pipeline, rows in batches of 256")


def bench_columns(count):
    batch = ticks(count)
    parts = cuts(batch, 65_536)
    arrow = table(batch)
    arms = {
        "pipeline, columns in batches of 65 536": lambda: through_pipeline(parts),
        "SecondBarAggregator alone": lambda: through_operator(parts),
        "DuckDB, arg_min and arg_max": duckdb_sql(arrow, "arg_min(px, ts_event)", "arg_max(px, ts_event)"),
        "DuckDB, first and last of the input order": duckdb_sql(arrow, "first(px)", "last(px)"),
        "Polars group_by": polars(arrow),
    }
    results = {name: run() for name, run in arms.items()}
    ours = made(results["pipeline, columns in batches of 65 536"])
    for name, result in results.items():
        assert ours == (made(result) if isinstance(result, list) else of_table(result)), name
    report("columns to bars", measure(arms), count, "pipeline, columns in batches of 65 536")


if __name__ == "__main__":
    bench_rows(100_000)
    bench_columns(1_000_000)
