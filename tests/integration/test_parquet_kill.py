"""A writer that is killed: readers see whole files only, and the next run makes the rest."""

import signal
import subprocess
import sys
from itertools import islice

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

ROWS_PER_FILE = 500
ROWS = 10_000

WRITER = f"""
import sys
import anyio
from market_data_pipeline.model import Origin, Trade, TradeBatch
from market_data_pipeline.sink import ParquetSink

origin = Origin("test", "test", 1, "live")

def rows(start):
    return TradeBatch(Trade(f"S{{n % 7}}", n, n, n, 0, origin, n, float(n), str(n)) for n in range(start, start + 50))

async def main():
    sink = ParquetSink(sys.argv[1], rows_per_file={ROWS_PER_FILE}, rows_per_group=100)
    await sink.open("demo")
    for start in range(0, {ROWS}, 50):
        await sink.write(rows(start))
        print(start, flush=True)
    await sink.commit(None, b"")
    await sink.close()

anyio.run(main)
"""


def command(root):
    return [sys.executable, "-c", WRITER, str(root)]


def content(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(root), check=True, stdout=subprocess.DEVNULL)
    return content(root)


@pytest.mark.parametrize("batches", [11, 57])
def test_readers_see_whole_files_only(tmp_path, batches, undisturbed):
    """SK-3."""
    root = tmp_path / "data"
    with subprocess.Popen(command(root), stdout=subprocess.PIPE, text=True) as child:
        list(islice(child.stdout, batches))
        child.send_signal(signal.SIGKILL)
        child.stdout.read()
        assert child.wait() == -signal.SIGKILL
    found = sorted(root.rglob("*"))
    paths = [path for path in found if path.is_file()]
    assert len(paths) >= batches * 50 // ROWS_PER_FILE
    for number, path in enumerate(paths):
        ordinals = pq.ParquetFile(path).read(["ordinal"])["ordinal"].to_pylist()
        assert ordinals == list(range(number * ROWS_PER_FILE, (number + 1) * ROWS_PER_FILE))
    count = len(paths) * ROWS_PER_FILE
    assert duckdb.sql(f"select count(*) from '{root}/**/*.parquet'").fetchall() == [(count,)]
    assert pl.scan_parquet(root).select(pl.len()).collect().item() == count

    subprocess.run(command(root), check=True, stdout=subprocess.DEVNULL)
    assert content(tmp_path) == {f"data/{name}": data for name, data in undisturbed.items()}
