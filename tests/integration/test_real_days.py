"""Real ticks through `mdp run` give exactly the bars that their publisher computed, compared as decimals."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.dataset as ds
import pytest

MDP = Path(sys.executable).with_name("mdp")
SECOND = 1_000_000_000


def run(*arguments, cwd):
    done = subprocess.run([MDP, "run", *arguments], capture_output=True, text=True, cwd=cwd, check=False, timeout=50)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr


def published(path, columns):
    """The publisher's bars of one day: start to (open, high, low, close), of the rows that have this side."""
    midnight = int(datetime.strptime(path.name[:8], "%Y%m%d").replace(tzinfo=UTC).timestamp()) * SECOND
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        for row in csv.reader(io.TextIOWrapper(file, "ascii")):
            yield midnight + int(row[0]) * 1_000_000, tuple(Decimal(row[column]) for column in columns)


def written(folder, interval):
    table = ds.dataset(folder / "kind=bar" / f"interval={interval}", partitioning=None).to_table()
    prices = zip(*(table[name].to_pylist() for name in ("open", "high", "low", "close")), strict=True)
    return dict(zip(table["start"].to_pylist(), prices, strict=True))


SIDES = {"bid": (1, 2, 3, 4), "ask": (6, 7, 8, 9)}
"""Where the publisher's files of quote bars have open, high, low and close."""


@pytest.mark.parametrize("basis", SIDES)
@pytest.mark.parametrize(
    ("interval", "folder", "counts"),
    [("1s", "second", (12_564, 17_361)), ("1m", "minute", (1_363, 1_222))],
    ids=["seconds", "minutes"],
)
def test_eurusd_ticks_give_the_publishers_bars(shared_data, tmp_path, *, interval, folder, counts, basis):
    oanda = shared_data / "lean" / "forex" / "oanda"
    run(
        f"replay:EURUSD?path={oanda}&format=lean&speed=max -> bars:{interval}?basis={basis} -> parquet:out",
        cwd=tmp_path,
    )
    days = [oanda / folder / "eurusd" / f"{day}_quote.zip" for day in ("20140501", "20140502")]
    expected = [dict(published(day, SIDES[basis])) for day in days]
    assert tuple(map(len, expected)) == counts
    assert written(tmp_path / "out", interval) == expected[0] | expected[1]


def test_bitcoin_seconds_resampled_give_the_publishers_minutes(shared_data, tmp_path):
    coinbase = shared_data / "lean" / "crypto" / "coinbase"
    run(
        f"replay:BTCUSD?path={coinbase}&format=lean&resolution=second -> bars:1m -> parquet:out",
        cwd=tmp_path,
    )
    days = [coinbase / "minute" / "btcusd" / f"{day}_trade.zip" for day in ("20161007", "20161008")]
    expected = [dict(published(day, (1, 2, 3, 4))) for day in days]
    assert tuple(map(len, expected)) == (1_419, 1_400)
    assert written(tmp_path / "out", "1m") == expected[0] | expected[1]


def test_the_same_replay_twice_gives_the_same_bytes(shared_data, tmp_path):
    """SK-3."""
    line = f"replay:EURUSD?path={shared_data / 'lean' / 'forex' / 'oanda'}&format=lean -> bars:1s?basis=mid -> parquet:"
    for folder in ("one", "two"):
        run(line + folder, cwd=tmp_path)
    files = {
        folder: {
            path.relative_to(tmp_path / folder): path.read_bytes()
            for path in sorted((tmp_path / folder).rglob("*.parquet"))
        }
        for folder in ("one", "two")
    }
    assert files["one"]
    assert files["one"] == files["two"]


MEASURE = """
import asyncio, json, resource, sys
from market_data_pipeline.pipeline import PipelineBuilder, parse_spec

result = asyncio.run(PipelineBuilder().build_and_run(parse_spec(json.loads(sys.argv[1]))))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([peak, result.ledger.as_dict(), result.ledger.mismatches()]))
"""


def measure(rows, folder, **stages):
    symbols = [f"S{index:02}" for index in range(100)]
    source = {"name": "synthetic", "settings": {"speed": "max", "count": rows, "rate": 10}}
    sink = {"name": "parquet", "settings": {"path": str(folder)}}
    spec = {"source": source, "symbols": symbols, "sink": sink, **stages}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps(spec)], capture_output=True, text=True, check=True, timeout=50
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("stages", [{}, {"operator": "bars"}], ids=["ticks", "bars"])
def test_a_million_ticks_lose_nothing_in_bounded_memory(tmp_path, stages):
    """L-1."""
    small, _, _ = measure(200_000, tmp_path / "small", **stages)
    large, ledger, mismatches = measure(1_000_000, tmp_path / "large", **stages)
    delivered = ledger["sinks"][0]["delivered"]
    rows = sum(ds.dataset(path).count_rows() for path in (tmp_path / "large").rglob("*.parquet"))
    assert (ledger["received"], ledger["accepted"], ledger["late"], ledger["dropped"]) == (1_000_000, 1_000_000, 0, {})
    assert (delivered, mismatches) == (rows, [])
    assert large <= small * 1.10
