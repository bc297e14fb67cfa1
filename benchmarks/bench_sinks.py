"""Bars as row objects to Arrow and into Parquet files.

What is made is the same: all columns of our files, compared value by value. Goals: at least 3 times as fast as pyarrow
from dictionaries, and two million rows a second into files.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from ratio import measure, per_row
from results import at_least, timed

from market_data_pipeline.model import Bar, BarBatch, Origin, to_decimal
from market_data_pipeline.model.arrow import schema, to_arrow
from market_data_pipeline.sink import ParquetSink

SECOND = 1_000_000_000
START = 1_700_006_400 * SECOND
SYMBOLS = [f"S{number}" for number in range(100)]
COUNT = 200_000
FEW = 20_000
"""Rows for the slow side."""
ORIGIN = Origin("bench", "bench", 1, "synthetic")
WIDE = pa.decimal128(18, 9)


def bars():
    """Return bars of one second of a hundred symbols."""
    made = []
    for number in range(COUNT):
        start = START + number // len(SYMBOLS) * SECOND
        px = (10_000 + number % 777) * 10_000_000
        end = start + SECOND
        prices = (px, px + 30_000_000, px - 20_000_000, px + 10_000_000)
        made.append(
            Bar(SYMBOLS[number % 100], end, end - 1, number, 0, ORIGIN, start, end, *prices, 1_000.0, px / SECOND, 50)
        )
    return made


def in_batches(rows, size=5_000):
    return [BarBatch(rows[start : start + size]) for start in range(0, len(rows), size)]


def arrow(batches):
    """Return Arrow batches; a batch of rows makes its columns once, so it is made anew."""
    return [to_arrow(BarBatch(batch.rows)) for batch in batches]


def as_dicts(batches):
    """Return Arrow tables by way of dictionaries with the names and values of our files."""
    target = pa.schema([field.with_type(WIDE) if pa.types.is_decimal(field.type) else field for field in schema("bar")])
    return [pa.Table.from_pylist([as_dict(row) for row in batch.rows], schema=target) for batch in batches]


def as_dict(row):
    return {
        "symbol": row.symbol,
        "provider": row.origin.provider,
        "epoch": row.origin.epoch,
        "ordinal": row.ordinal,
        "mode": row.origin.mode,
        "flags": row.flags,
        "time": row.ts_event // 1000,
        "ts_event": row.ts_event,
        "ts_recv": row.ts_recv,
        "start": row.start,
        "end": row.end,
        "open": to_decimal(row.open_px),
        "high": to_decimal(row.high_px),
        "low": to_decimal(row.low_px),
        "close": to_decimal(row.close_px),
        "volume": row.volume,
        "vwap": row.vwap,
        "trades": row.trades,
        "basis": row.basis,
        "revision": row.revision,
        "is_final": row.is_final,
        "complete": row.complete,
    }


def written(batches, folder):
    """Write rows through the sink, as a pipeline does."""

    async def write():
        shutil.rmtree(folder, ignore_errors=True)
        sink = ParquetSink(folder)
        await sink.open("bench")
        for batch in batches:
            await sink.write(BarBatch(batch.rows))
        await sink.commit(None, b"")
        await sink.close()

    asyncio.run(write())
    return sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))


if __name__ == "__main__":
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    every = bars()
    batches, few = in_batches(every), in_batches(every[:FEW])
    ours, slow, file = (
        "rows to Arrow, `to_arrow`",
        "rows to Arrow, `Table.from_pylist`",
        "rows into a Parquet file, the sink",
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "data")
        arms = {
            ours: lambda: arrow(batches),
            slow: lambda: as_dicts(few),
            file: lambda: written(batches, folder),
        }
        assert [row for one in arrow(few) for row in one.to_pylist()] == [
            row for one in as_dicts(few) for row in one.to_pylist()
        ]
        assert written(batches, folder) == COUNT
        times = per_row(measure(arms, rounds=7), COUNT, **{slow: FEW})
    table = timed("sinks", "ns a bar", times, ours)
    table.goals += [
        at_least(13, 3, times[slow] / times[ours], "`list[Bar]` to Arrow, times as fast as `Table.from_pylist`", " x"),
        at_least(13, 2, 1e3 / times[file], "Parquet from row objects", " M rows/s of CPU"),
    ]
    table.publish()
