"""The examples, run as a user runs them: from an empty folder, in a process of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = {path.stem: path for path in (Path(__file__).parents[2] / "examples").glob("*.py")}

SAID = {
    "history_and_chain": ["15 bars, the last closed at", "calls that expire on 2026-"],
    "own_source": ["00:00:05 TEN open 10.0 close 6.0 volume 5.0", "10 trades in, 2 bars in files:"],
    "rate_limited_pipelines": [
        "desk   waited",
        "batch  waited",
        "for same-symbol",
        "for second",
        "24 requests went out",
        "the budget held",
    ],
    "replay_to_bars": ["50000 ticks recorded", "both runs wrote the same bytes"],
    "run_quote_stream": [" AAPL  bid "],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_says_what_it_should(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES[name]], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in SAID[name] if line not in done.stdout] == []
    assert list(tmp_path.iterdir()) == []
