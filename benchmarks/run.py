"""Run all benchmarks, or those named, one after the other on one core, below a line of what they ran on."""

import os
import platform
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

PEERS = ("cryptofeed", "duckdb", "nautilus-trader", "polars")
BASE = ("anyio", "click", "msgspec", "numpy", "pyarrow", "pydantic")
HERE = Path(__file__).parent


def processor():
    info = Path("/proc/cpuinfo")
    found = (
        re.search(r"^model name\s*: (.+)$", info.read_text(encoding="utf-8"), re.MULTILINE) if info.exists() else None
    )
    return found[1] if found else platform.processor() or platform.machine()


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the benchmarks inherit it
    print(f"{time.strftime('%Y-%m-%d')}, one core of {os.cpu_count()}, {processor()}, {platform.system()}")
    print(f"{platform.python_implementation()} {platform.python_version()}")
    for names in (PEERS, BASE):
        print(", ".join(f"{name} {version(name)}" for name in names), flush=True)
    begin = time.monotonic()
    for name in sys.argv[1:] or sorted(path.stem for path in HERE.glob("bench_*.py")):
        subprocess.run([sys.executable, HERE / f"{name}.py"], check=True)
    print(f"\nall of it in {time.monotonic() - begin:.0f} s")
