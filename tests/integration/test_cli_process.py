"""`mdp` as a process: signals, closed pipes, exit codes, and what it loads."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pyarrow.dataset
import pytest

MDP = [sys.executable, "-c", "import sys; from market_data_pipeline.cli import main; sys.exit(main())"]
HEAVY = {"anyio", "asyncio", "numpy", "pyarrow", "pydantic", "rich", "ruamel"}


@pytest.fixture
def start(tmp_path):
    """Start `mdp` in an empty folder; what still runs at the end is killed."""
    started = []

    def start(*arguments, **options):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
        started.append(subprocess.Popen([*MDP, *arguments], **pipes | options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def wait_for(stream, text):
    assert any(text in line for line in stream), f"ended without {text!r}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_0_and_all_that_was_read_is_written(start, tmp_path, number):
    """SP-9, CLI-1."""
    tmp_path.joinpath("p.yaml").write_text(
        "source: {name: synthetic, settings: {rate: 200}}\n"
        "symbols: [A]\n"
        "sink:\n- {name: console, settings: {format: json}}\n- {name: parquet, settings: {path: data}}\n"
    )
    process = start("run", "p.yaml")
    first = process.stdout.readline()
    process.send_signal(number)
    printed = sorted(json.loads(line)["ordinal"] for line in [first, *process.stdout])
    err = process.stderr.read()
    assert process.wait() == 0, err
    assert sorted(pyarrow.dataset.dataset(tmp_path / "data").to_table()["ordinal"].to_pylist()) == printed
    assert (
        f": {len(printed):,} rows in, {len(printed):,} to console:json, {len(printed):,} to parquet:data; 0 late" in err
    )
    assert err.startswith("mdp: stopped in ")


BLOCKED = "anyio.to_thread.run_sync(os.read, os.pipe()[0], 1)"

STUCK = """
import os
import anyio
from market_data_pipeline.plugins import ComponentSpec, PluginHooks
class Sink:
    guarantee = "best_effort"
    async def open(self, pipeline): return None
    async def write(self, item):
        print("writing", flush=True)
        await WAIT
    async def commit(self, position, state): pass
    async def close(self): pass
class Plugin(PluginHooks):
    def mdp_components(self):
        yield ComponentSpec(kind="sink", name="stuck", factory=Sink)
plugin = Plugin()
"""


@pytest.fixture
def stuck(start, tmp_path):
    """Start a pipeline into a sink that never comes back from its first write."""
    info = tmp_path / "market_data_stuck-1.0.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: market-data-stuck\nVersion: 1.0.0\n")
    info.joinpath("entry_points.txt").write_text("[market_data.providers]\nstuck = market_data_stuck:plugin\n")

    def stuck(drain_timeout_sec, wait="anyio.sleep_forever()"):
        tmp_path.joinpath("market_data_stuck.py").write_text(STUCK.replace("WAIT", wait))
        tmp_path.joinpath("p.yaml").write_text(
            "source: {name: synthetic, settings: {rate: 200}}\n"
            f"symbols: [A]\nsink: stuck\ndrain_timeout_sec: {drain_timeout_sec}\n"
        )
        process = start("run", "p.yaml", "-v", env=os.environ | {"PYTHONPATH": str(tmp_path)})
        wait_for(process.stdout, "writing")
        return process

    return stuck


@pytest.mark.parametrize("wait", ["anyio.sleep_forever()", BLOCKED])
def test_rows_that_are_not_written_in_time_end_with_3_and_their_count(stuck, wait):
    """SP-9, CLI-1."""
    process = stuck(0.1, wait)
    process.send_signal(signal.SIGTERM)
    err = process.stderr.read()
    assert process.wait() == 3, err
    assert "rows were read and not written within 0.1 s: look at the sink" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("wait", "number", "code"),
    [
        ("anyio.sleep_forever()", signal.SIGINT, 130),
        ("anyio.sleep_forever()", signal.SIGTERM, 143),
        (BLOCKED, signal.SIGINT, 130),
    ],
)
def test_a_second_signal_ends_at_once_and_says_that_rows_are_lost(stuck, wait, number, code):
    """SP-9, CLI-1."""
    process = stuck(1000, wait)
    process.send_signal(signal.SIGTERM)
    wait_for(process.stderr, "once more ends at once")
    process.send_signal(number)
    assert process.wait() == code
    last = process.stderr.read().splitlines()[-1]
    assert last == f"mdp: error: ended at once by a second {number.name}: what was not written is lost"


@pytest.mark.parametrize(
    "arguments", [["stream", "synthetic:A?speed=max", "--json"], ["stream", "synthetic:A?speed=max"]]
)
def test_a_reader_that_goes_away_is_no_error(start, arguments):
    """CLI-1: `mdp stream … | head -1`."""
    process = start(*arguments)
    assert process.stdout.readline()
    process.stdout.close()
    assert (process.wait(), process.stderr.read()) == (0, "")


@pytest.mark.parametrize("arguments", [["plugins", "list"], ["plugins", "info", "bars", "--json"]])
def test_nothing_is_said_when_nobody_reads_at_all(start, arguments):
    """CLI-1."""
    reader, writer = os.pipe()
    os.close(reader)
    process = start(*arguments, stdout=writer)
    os.close(writer)
    assert (process.wait(), process.stderr.read()) == (0, "")


def test_without_standard_output_a_command_that_prints_rows_says_so(start):
    """CLI-1."""
    process = start("stream", "synthetic:A", "--count", "1", stdout=None, preexec_fn=lambda: os.close(1))
    assert (process.wait(), process.stderr.read().splitlines()[-1]) == (
        1,
        "mdp: error: there is no standard output: write to a file instead",
    )


def test_where_stderr_is_no_terminal_there_is_one_line_at_the_end(start):
    assert start("run", "synthetic:A?speed=max&count=10 -> jsonl:x").stderr.read().count("\n") == 1


@pytest.fixture
def seen(start):
    """Run `mdp` with a terminal of some size for stderr; return what went there, and the end of it behind the view."""

    def seen(*arguments, columns=100, lines=30):
        terminal, other_end = pty.openpty()
        termios.tcsetwinsize(other_end, (lines, columns))
        process = start(*arguments, stderr=other_end, env=os.environ | {"TERM": "xterm"})
        os.close(other_end)
        text = b""
        while b"rows in" not in text.rpartition(b"mdp: ")[2]:
            text += os.read(terminal, 4096)
        assert process.wait() == 0
        os.close(terminal)
        shown, _, last = text.decode().rpartition("mdp: ")
        return shown, last, process.stdout.read()

    return seen


LIVE = "synthetic:AAPL?rate=100 -> bars:1s -> jsonl:x"


def test_a_terminal_sees_state_rates_and_ledger_and_then_the_last_line_alone(seen):
    shown, last, out = seen("run", LIVE, "--duration", "2s")
    assert all(part in shown for part in ("running", "left", "rows/s", "lag", "entry", "SecondBarAggregator", "folded"))
    assert "\N{ESC}[2K" in shown  # it is gone
    assert (
        shown.endswith("\N{ESC}[?25h") or "\N{ESC}[?25h" in shown[shown.rindex("\N{ESC}[?25l") :]
    )  # and the cursor is back
    assert last.startswith("done in")
    assert out == ""


@pytest.mark.parametrize(("view", "columns"), [("line", 100), ("auto", 50)])
def test_a_small_terminal_or_who_wants_it_sees_one_line(seen, view, columns):
    shown, _, _ = seen("run", LIVE, "--duration", "2s", "--view", view, columns=columns)
    assert "rows/s" in shown
    assert "entry" not in shown


@pytest.mark.parametrize(
    "arguments", [["--duration", "2s", "--view", "none"], ["--count", "1"], ["--count", "1", "--view", "auto"]]
)
def test_a_short_run_shows_nothing_nor_one_that_is_told_so(seen, arguments):
    shown, last, _ = seen("run", LIVE, *arguments)
    assert shown == ""
    assert last.startswith("done in")


def test_what_is_logged_stays_above_the_view(seen):
    shown, _, _ = seen("run", LIVE, "--duration", "2s", "--debug")
    assert "mdp: DEBUG" in shown


def loaded_by(*arguments):
    code = f"""
import json, sys
from market_data_pipeline.cli import main
main({list(arguments)!r})
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr))


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    assert not loaded_by(*arguments) & (HEAVY | {"attrs", "pluggy", "importlib_metadata", "logging", "json"} - {"json"})


def test_plugins_list_loads_nothing_heavy_and_no_plugin():
    loaded = loaded_by("plugins", "list")
    assert not loaded & (HEAVY - {"asyncio"})
    assert not {name for name in loaded if name.startswith("market_data_")} - {"market_data_pipeline"}


def test_the_command_is_installed():
    mdp = Path(sys.executable).with_name("mdp")
    done = subprocess.run([mdp, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mdp 2.")
