"""Our Parquet files to `Quote` objects: the replay provider against plain tuples and pydantic models.

All sides read the same files, a million quotes of a hundred symbols, on one thread. Goals: at most 1.7 times the time
of plain tuples with the same values out of the same record batches, and 25 times as fast as pydantic models.
"""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel
from ratio import measure, report

from market_data_pipeline.contracts import StreamRequest
from market_data_pipeline.model import QuoteBatch
from market_data_pipeline.model.arrow import from_arrow
from market_data_pipeline.pipeline import PipelineBuilder, parse_spec
from market_data_pipeline.source.services import ServiceFactory
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


def write(folder):
    values = {
        "source": {"name": "synthetic", "settings": {"count": COUNT, "speed": "max"}},
        "symbols": SYMBOLS,
        "kinds": ["quote"],
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


def quotes(batches):
    return sum(len(batch.rows) for data in batches for batch in from_arrow(data, source="replay"))


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


if __name__ == "__main__":
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        ready = list(record_batches(folder))
        arms = {
            "files to Quote, replay provider": lambda: replay(folder),
            "files to plain tuples, pyarrow": lambda: tuples(record_batches(folder)),
            "files to Quote, in pieces of 4 096 rows": lambda: replay(folder, 4_096),
            "files to plain tuples, 4 096 rows at a time": lambda: tuples(record_batches(folder, 4_096)),
            "record batches to Quote, from_arrow": lambda: quotes(ready),
            "record batches to plain tuples": lambda: tuples(ready),
        }
        few = [ready[0].slice(0, FEW)]
        slow = {"record batches to pydantic models, to_pylist": lambda: models(few)}
        counts = {name: run() for name, run in (arms | slow).items()}
        assert set(counts.values()) == {COUNT, FEW}, counts
        times = measure(arms | slow, rounds=5)
    times = {name: spent * COUNT // counts[name] for name, spent in times.items()}
    report("Parquet to rows", times, COUNT, "files to Quote, replay provider")
