"""Settings: loading them in a fresh process, and naming every kind of mistake in a file, as `mdp` does, in CPU time.

Goals: load a settings file within 250 ms, with the start of the process; name all mistakes of a file within 200 ms.
"""

import os
import statistics
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
    begin = time.process_time()
    run()
    return (time.process_time() - begin) * 1e3


def process_milliseconds(code):
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    return (usage.ru_utime + usage.ru_stime) * 1e3


if __name__ == "__main__":
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(FILE)
        file.flush()
        code = LOAD.format(file.name)
        loading = statistics.median(process_milliseconds(code) for _ in range(ROUNDS))
    host = PluginHost()
    first = milliseconds(lambda: check_file(MISTAKES, lambda _: host))
    again = statistics.median(milliseconds(lambda: check_file(MISTAKES, lambda _: host)) for _ in range(ROUNDS))
    count = len(check_file(MISTAKES, lambda _: host).mistakes)
    print(f"\nsettings, median of {ROUNDS}")
    print(f"  load a file, with the start of the process       {loading:8.1f} ms  goal 250 ms")
    print(f"  name {count} mistakes in one file, first time         {first:8.1f} ms  goal 200 ms")
    print(f"  the same again                                   {again:8.1f} ms")
