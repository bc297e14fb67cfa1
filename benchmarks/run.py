"""Run all benchmarks, or those named, one after the other on one core; all of them together write the page."""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from page import PAGE, fill
from results import RESULTS

PEERS = (
    *("aiobreaker", "aiolimiter", "bytewax", "circuitbreaker", "cryptofeed", "duckdb", "nautilus-trader", "numba"),
    *("polars", "purgatory", "pyrate-limiter"),
)
BASE = ("anyio", "click", "msgspec", "numpy", "pyarrow", "pydantic")
HERE = Path(__file__).parent


def processor():
    info = Path("/proc/cpuinfo")
    found = (
        re.search(r"^model name\s*: (.+)$", info.read_text(encoding="utf-8"), re.MULTILINE) if info.exists() else None
    )
    return found[1] if found else platform.processor() or platform.machine()


def facts():
    """Return what they run on, in lines."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    versions = (", ".join(f"{name} {version(name)}" for name in names) for names in (PEERS, BASE))
    machine = f"{processor()}, {platform.system()}"
    return [
        f"Measured on {time.strftime('%Y-%m-%d')}, on one core of {os.cpu_count()}, {machine},",
        f"{python}; {next(versions)};",
        f"{next(versions)}.",
    ]


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the benchmarks inherit it
    print(*facts(), sep="\n", flush=True)
    begin, named = time.monotonic(), sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "results.jsonl")
        lines.touch()
        for name in named or sorted(path.stem for path in HERE.glob("bench_*.py")):
            subprocess.run([sys.executable, HERE / f"{name}.py"], check=True, env=os.environ | {RESULTS: str(lines)})
        tables = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    print(f"\nall of it in {time.monotonic() - begin:.0f} s")
    if not named:
        PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), tables, facts()), encoding="utf-8")
        print(f"written: {PAGE}")
    if missed := [goal["text"] for table in tables for goal in table["goals"] if not goal["met"]]:
        print("missed:", *missed, sep="\n  ")
