"""Settings: loading them in a fresh process, and naming every kind of mistake in a file, as `mdp` does.

Goals: load a settings file within 250 ms, with the start of the process; name all mistakes of a file within 200 ms.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from market_data_pipeline.plugins import PluginHost
from market_data_pipeline.settings.checking import check_file

MISTAKES = Path(__file__).parents[1] / "tests" / "data" / "settings-mistakes.yaml"
LOAD = "from market_data_pipeline.settings import load_settings; load_settings({!r}, environ={{}})"
FILE = "provider: synthetic\nproviders: {synthetic: {seed: 7}}\nprofiles: {paper: {pipeline: {commit_sec: 5}}}\n"
ROUNDS = 20


def milliseconds(run):
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1e3


def median(run):
    return statistics.median(milliseconds(run) for _ in range(ROUNDS))


if __name__ == "__main__":
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(FILE)
        file.flush()
        code = LOAD.format(file.name)
        loading = median(lambda: subprocess.run([sys.executable, "-c", code], check=True))
    host = PluginHost()
    first = milliseconds(lambda: check_file(MISTAKES, host.provider_or_source))
    again = median(lambda: check_file(MISTAKES, host.provider_or_source))
    count = len(check_file(MISTAKES, host.provider_or_source).mistakes)
    print(f"\nsettings, median of {ROUNDS}")
    print(f"  load a file, with the start of the process       {loading:8.1f} ms  goal 250 ms")
    print(f"  name {count} mistakes in one file, first time         {first:8.1f} ms  goal 200 ms")
    print(f"  the same again                                   {again:8.1f} ms")
