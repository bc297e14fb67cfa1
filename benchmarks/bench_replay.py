"""Our Parquet files to rows, to bars and merged: the replay provider against what else there is.

All sides read the same files, a million rows of a hundred symbols, on one thread. Goals: rows at most 1.7 times the
time of plain tuples with the same values out of the same record batches, 25 times as fast as pydantic models, and five
million a second; bars at most 1.5 times the time of DuckDB's SQL on the file, and less than that of Polars; twenty
files merged at least 6 times as fast as `heapq.merge`, in bounded memory.
"""

import asyncio
import logging
import os
import tempfile
import tracemalloc
from collections import deque
from decimal import Decimal
from heapq import merge as heap_merge
from operator import attrgetter
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from common import Kept
from pydantic import BaseModel
from ratio import measure, per_row
from results import at_least, at_most, timed

from market_data_pipeline.contracts import StreamRequest
from market_data_pipeline.model import BarBatch, Batch, QuoteBatch, to_decimal
from market_data_pipeline.model.arrow import from_arrow
from market_data_pipeline.model.columns import Columns, join
from market_data_pipeline.operator import SecondBarAggregator
from market_data_pipeline.pipeline import PipelineBuilder, StreamingPipeline, parse_spec
from market_data_pipeline.sink import ParquetSink
from market_data_pipeline.source.services import ServiceFactory
from market_data_replay.batches import BatchMaker
from market_data_replay.formats.contract import Chunk, Tally
from market_data_replay.merge import merge
from market_data_replay.provider import ReplayProvider
from market_data_replay.settings import ReplaySettings

COUNT = 1_000_000
FEW = 20_000
"""Rows for the slowest side, whose time is then multiplied."""
SYMBOLS = [f"S{number}" for number in range(100)]
TEXTS = ["symbol", "provider", "mode"]


class Model(BaseModel):
    """A quote as an application would declare it."""

    symbol: str
    ts_event: int
    ts_recv: int
    ordinal: int
    flags: int
    bid: Decimal | None
    ask: Decimal | None
    bid_size: float | None
    ask_size: float | None
    provider: str
    epoch: int
    mode: str


COLUMNS = list(Model.model_fields)


def write(folder, kind="quote", **settings):
    values = {
        "source": {"name": "synthetic", "settings": {"count": COUNT, "speed": "max", "seed": 7, **settings}},
        "symbols": SYMBOLS,
        "kinds": [kind],
        "sink": {"name": "parquet", "settings": {"path": str(folder)}},
    }
    asyncio.run(PipelineBuilder().build(parse_spec(values)).run())


def record_batches(folder, rows=65_536):
    for path in sorted(folder.rglob("*.parquet")):
        with pq.ParquetFile(path, read_dictionary=TEXTS) as file:
            yield from file.iter_batches(rows, columns=COLUMNS, use_threads=False)


def replay(folder, piece=65_536):
    """Play the files as a pipeline does, and make the rows of so many at a time."""

    async def play():
        provider = ReplayProvider(ReplaySettings(path=folder), ServiceFactory().of("replay"))
        source = provider.stream(StreamRequest())
        await source.start()
        rows = 0
        async for item in source.batches():
            if isinstance(item, QuoteBatch):
                rows += sum(len(item[start : start + piece].rows) for start in range(0, len(item), piece))
        await source.close()
        return rows

    return asyncio.run(play())


def prices(column):
    """Return the low words of decimals, the fastest way to exact prices."""
    return np.frombuffer(column.buffers()[1], "i8")[column.offset * 2 : (column.offset + len(column)) * 2 : 2].tolist()


def tuples(batches):
    """Make tuples of the fields of a `Quote`; no value is missing here, so none is looked for."""
    rows = 0
    for data in batches:
        symbols = data["symbol"]
        fields = [np.array(symbols.dictionary.to_pylist(), object)[symbols.indices.to_numpy()].tolist()]
        fields += [data[name].to_numpy().tolist() for name in ("ts_event", "ts_recv", "ordinal", "flags")]
        fields += [prices(data[name]) for name in ("bid", "ask")]
        fields += [data[name].to_numpy().tolist() for name in ("bid_size", "ask_size")]
        rows += len(tuple(zip(*fields, strict=True)))
    return rows


def models(batches):
    return sum(len([Model(**row) for row in data.to_pylist()]) for data in batches)


# --- bars -------------------------------------------------------------------------------------------------------------

SQL = """
    SELECT symbol, ts_event // 1000000000 AS second, first(price) AS open, max(price) AS high, min(price) AS low,
           last(price) AS close, sum(size) AS volume, sum(price * size) / sum(size) AS vwap, count(*) AS trades
    FROM '{}/**/*.parquet' GROUP BY ALL"""


def played(folder, kind):
    """Return a source of what is in a folder."""
    provider = ReplayProvider(ReplaySettings(path=folder), ServiceFactory().of("replay"))
    return provider.stream(StreamRequest(kinds=frozenset({kind})))


def to_bars(folder):
    sink = Kept()
    asyncio.run(StreamingPipeline(source=played(folder, "trade"), operator=SecondBarAggregator(), sink=sink).run())
    return sink.items


def polars(folder):
    price, size = pl.col("price"), pl.col("size")
    bar = {
        "open": price.first(),
        "high": price.max(),
        "low": price.min(),
        "close": price.last(),
        "volume": size.sum(),
        "vwap": (price.cast(pl.Float64) * size).sum() / size.sum(),
        "trades": pl.len(),
    }
    found = pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=False)
    return found.group_by("symbol", (pl.col("ts_event") // 1_000_000_000).alias("second")).agg(**bar).collect()


def of_items(items):
    return {
        (bar.symbol, bar.start // 1_000_000_000): (
            *map(to_decimal, (bar.open_px, bar.high_px, bar.low_px, bar.close_px)),
            bar.volume,
        )
        for item in items
        if isinstance(item, BarBatch)
        for bar in item.rows
    }


def of_table(table):
    names = ("open", "high", "low", "close", "volume")
    return {(row["symbol"], row["second"]): tuple(row[name] for name in names) for row in table.to_pylist()}


# --- merging ----------------------------------------------------------------------------------------------------------

FILES = 20
TIMES = 3


class Ready:
    """A run of rows that are read already."""

    size = 0

    def __init__(self, batch):
        self._batch = batch
        self.lower = int(batch.columns["ts_event"][0])

    def chunks(self, _tally, rows):
        batch = self._batch
        for start in range(0, len(batch), rows):
            yield Chunk(batch.kind, batch.origin, batch.columns.take(slice(start, start + rows)))


def merged(runs):
    """Merge runs as the replay does, into batches."""
    maker = BatchMaker()
    return [batch for parts in merge(runs, Tally(logging.getLogger("bench"))) for batch in maker.make(parts)]


def parted(folder, into):
    """Write the rows of a folder into as many files, in turn, and return them as one batch a file."""
    every = [batch for data in record_batches(folder) for batch in from_arrow(data, source="bench")]
    whole = every[0].from_columns(join([batch.columns for batch in every]), every[0].origin)
    parts = [whole.select(np.arange(number, len(whole), FILES)) for number in range(FILES)]

    asyncio.run(written(parts, into))
    return parts


async def written(parts, into):
    """Write one file for each part."""
    for number, part in enumerate(parts):
        sink = ParquetSink(into)
        await sink.open(f"part{number:02d}")
        await sink.write(part)
        await sink.commit(None, b"")
        await sink.close()


def longer(part, times):
    """Return a part with so many times its rows, one behind the other."""
    columns = part.columns
    span = int(columns["ts_event"][-1] - columns["ts_event"][0]) + 1
    rises = {"ts_event": span, "ts_recv": span, "ordinal": COUNT}
    arrays = {
        name: np.concatenate([values + np.array(rises.get(name, 0) * number, values.dtype) for number in range(times)])
        for name, values in ((name, columns[name]) for name in columns)
    }
    return part.from_columns(Columns(arrays, columns.words), part.origin)


def drained(folder):
    """Play a folder, keep nothing, and return how many rows came, and whether in order."""

    async def play():
        source, rows, newest, in_order = played(folder, "quote"), 0, 0, True
        await source.start()
        async for item in source.batches():
            if isinstance(item, Batch):
                ts = item.columns["ts_event"]
                in_order &= bool(ts[0] >= newest and (ts[1:] >= ts[:-1]).all())
                rows, newest = rows + len(item), int(ts[-1])
        await source.close()
        return rows, in_order

    return asyncio.run(play())


def peak(folder):
    """Return how many MiB are in use at most while a folder is played."""
    tracemalloc.start()
    drained(folder)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


# --- all of it --------------------------------------------------------------------------------------------------------

TO_QUOTE, TO_TUPLES = "files to `Quote`, through the replay provider", "files to plain tuples, pyarrow"
PIECES, TUPLE_PIECES = "files to `Quote`, rows made 4 096 at a time", "files to plain tuples, 4 096 at a time"
MODELS = "record batches to pydantic models, `to_pylist`"


def bench_rows(folder):
    ready = list(record_batches(folder))
    few = [ready[0].slice(0, FEW)]
    arms = {
        TO_QUOTE: lambda: replay(folder),
        TO_TUPLES: lambda: tuples(record_batches(folder)),
        PIECES: lambda: replay(folder, 4_096),
        TUPLE_PIECES: lambda: tuples(record_batches(folder, 4_096)),
        MODELS: lambda: models(few),
    }
    counts = {name: run() for name, run in arms.items()}
    assert set(counts.values()) == {COUNT, FEW}, counts
    times = per_row(measure(arms, rounds=4), COUNT, **{MODELS: FEW})
    table = timed("parquet rows", "ns a quote", times, TO_QUOTE)
    table.goals += [
        at_least(6, 5, 1e3 / times[PIECES], "Parquet to `Quote`", " M rows/s of CPU"),
        at_most(6, 1.7, times[TO_QUOTE] / times[TO_TUPLES], "Parquet to `Quote`, times the time of plain tuples", " x"),
        at_least(6, 25, times[MODELS] / times[TO_QUOTE], "Parquet to `Quote`, times as fast as pydantic models", " x"),
    ]
    table.publish()


def bench_bars(folder):
    ours = "files to bars, the replay through a pipeline"
    duck, other = "DuckDB, SQL on the files", "Polars, `scan_parquet`"
    connection = duckdb.connect(config={"threads": 1})
    arms = {
        ours: lambda: to_bars(folder),
        duck: lambda: connection.sql(SQL.format(folder)).to_arrow_table(),
        other: lambda: polars(folder).to_arrow(),
    }
    results = {name: run() for name, run in arms.items()}
    bars = of_items(results.pop(ours))
    for name, result in results.items():
        assert of_table(result) == bars, name
    print(f"{len(bars)} bars")
    times = per_row(measure(arms, rounds=5), COUNT)
    table = timed("parquet bars", "ns a trade", times, ours)
    table.goals += [
        at_most(5, 1.5, times[ours] / times[duck], "Parquet to bars, times the time of DuckDB on the files", " x"),
        at_most(5, 1, times[ours] / times[other], "Parquet to bars, times the time of Polars on the files", " x"),
    ]
    table.publish()


def bench_merge(folder, into, many):
    parts = parted(folder, into)
    rows = [part.rows for part in parts]
    ours, heap, play = "20 runs in memory, merged by the replay", "the same as rows, `heapq.merge`", "20 files, played"
    arms = {
        ours: lambda: merged([Ready(part) for part in parts]),
        heap: lambda: deque(heap_merge(*rows, key=attrgetter("ts_event")), maxlen=0),
        play: lambda: drained(into),
    }
    order = [ts for batch in merged([Ready(part) for part in parts]) for ts in batch.columns["ts_event"].tolist()]
    assert order == [row.ts_event for row in heap_merge(*rows, key=attrgetter("ts_event"))]
    assert drained(into) == (COUNT, True)
    times = per_row(measure(arms, rounds=6), COUNT)
    table = timed("merge", "ns a row", times, ours)
    asyncio.run(written([longer(part, TIMES) for part in parts], many))
    memory, more = peak(into), peak(many)
    table.add("20 files, memory at most", f"{memory:.0f} MiB", "")
    table.add(f"20 files of {TIMES} times as many rows, memory at most", f"{more:.0f} MiB", f"{more / memory:.2f}")
    table.goals += [
        at_least(7, 6, times[heap] / times[ours], "20 files merged, times as fast as `heapq.merge`", " x"),
        at_most(7, 1.2, more / memory, f"20 files merged, memory for {TIMES} times the rows", " x"),
    ]
    table.publish()


if __name__ == "__main__":
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with tempfile.TemporaryDirectory() as name:
        quotes, trades, files, many = (Path(name, part) for part in ("quotes", "trades", "files", "many"))
        write(quotes)
        write(trades, "trade", rate=50)
        bench_rows(quotes)
        bench_bars(trades)
        bench_merge(quotes, files, many)
