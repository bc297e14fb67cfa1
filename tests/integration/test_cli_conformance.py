"""`mdp conformance`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from market_data_pipeline.cli import main

FILTER_AND_FILE = """
from pydantic import BaseModel, ConfigDict, SecretStr
from market_data_pipeline.contracts import Outcome
from market_data_pipeline.operator import BaseOperator
from market_data_pipeline.plugins import ComponentSpec, PluginHooks
from market_data_pipeline.sink import JsonlSink

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    loses: bool
    key: SecretStr = SecretStr("")

class FileSettings(BaseModel):
    path: str

class Filter(BaseOperator):
    def __init__(self, loses, key):
        self.loses = loses
    def on_batch(self, batch):
        return Outcome(items=(batch,), passed=len(batch) - self.loses)

class Plugin(PluginHooks):
    def mdp_components(self, context):
        yield ComponentSpec(kind="operator", name="some", factory=Filter, settings=Settings)
        yield ComponentSpec(kind="sink", name="file", factory=JsonlSink, settings=FileSettings)
        yield ComponentSpec(kind="sink", name="gone", factory="market_data_fake_parts:gone")
plugin = Plugin()
"""


@pytest.fixture
def mdp(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def mdp(*arguments, code=0):
        assert main(["conformance", *arguments]) == code
        return capsys.readouterr()

    return mdp


def outcomes(said, suite):
    """Return what became of each check of a suite."""
    return {
        one["check"]: (one["outcome"], one["message"])
        for one in json.loads(said.out)["checks"]
        if one["suite"] == suite
    }


def test_a_provider_is_tried_with_every_suite_that_it_needs(mdp):
    lines = mdp("synthetic", "--symbols", "AAPL,MSFT", "-s", "rate=200", "--virtual").out.splitlines()
    assert [line for line in lines if " of " in line and not line.startswith(" ")] == [
        "PluginConformance of plugin synthetic",
        "TickSourceConformance of provider synthetic",
        "HistoricalConformance of provider synthetic",
        "OptionsConformance of provider synthetic",
    ]
    assert "  passed   test_stream_is_well_formed" in lines
    assert "  skipped  test_resumes: it is not resumable" in lines
    passed = sum(line.startswith("  passed ") for line in lines)
    assert lines[-1] == f"{passed} passed, 0 failed, 3 skipped"
    assert passed > 30


def test_a_replay_is_tried_with_what_was_recorded(mdp):
    """CFG-2: its settings come from the file; the report goes into another."""
    assert main(["run", "synthetic:AAPL,MSFT?rate=50&count=12000&speed=max -> bars:1s -> jsonl:bars.jsonl"]) == 0
    Path("mdp.yaml").write_text("providers: {replay: {path: bars.jsonl}}\n")
    options = ("--settings", "mdp.yaml", "--symbols", "AAPL,MSFT", "--kinds", "bar", "--json", "report.json")
    times = ("--start", "2024-01-02T14:30:00Z", "--end", "2024-01-02T14:31:00Z", "--interval", "1s")
    said = mdp("replay", *options, *times).out
    report = json.loads(Path("report.json").read_text())
    assert (report["plugin"], report["distribution"], report["failed"]) == ("replay", "market-data-replay", 0)
    assert said.splitlines()[-1] == f"{report['passed']} passed, 0 failed, {report['skipped']} skipped"
    assert {"test_resumes", "test_history_is_half_open"} < {
        one["check"] for one in report["checks"] if one["outcome"] == "passed"
    }


def test_operators_and_sinks_are_tried_too(mdp, installed, write):
    installed(write("parts", FILTER_AND_FILE))
    said = mdp("parts", "-s", "loses=true", "--json", "-", code=1)
    assert outcomes(said, "OperatorConformance")["test_accounts_for_all_rows"][0] == "failed"
    assert {outcome for outcome, _ in outcomes(said, "SinkConformance").values()} == {"passed", "skipped"}
    outcome, message = outcomes(said, "PluginConformance")["test_specs_resolve"]
    assert outcome == "failed"
    assert "importing its factory 'market_data_fake_parts:gone'" in message
    sound = outcomes(mdp("parts", "-s", "loses=no", "--json", "-", code=1), "OperatorConformance")
    assert {outcome for outcome, _ in sound.values()} == {"passed"}


def test_a_plugin_that_does_not_load_is_a_check_that_fails(mdp, installed):
    """RT-3."""
    installed("import-error")
    said = mdp("import-error", "--json", "-", code=1)
    assert {one["suite"] for one in json.loads(said.out)["checks"]} == {"PluginConformance"}
    outcome, message = outcomes(said, "PluginConformance")["test_loads"]
    assert outcome == "failed"
    assert "No module named" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synthetic"], "--symbols: name symbols that the provider synthetic has, two if it can: --symbols AAPL,MSFT"),
        (["synthetc"], "no plugin 'synthetc' is installed; did you mean 'synthetic'?"),
        (["synthetic", "--symbols", "A", "-s", "rat=1"], "the plugin has no setting 'rat'; did you mean 'rate'?"),
        (["synthetic", "--symbols", "A", "-s", "rate=x"], "provider synthetic: rate: Input should be a valid number"),
        (["synthetic", "-s", "rate"], "'rate' is no setting: write key=value"),
        (["synthetic", "-s", "rate=1", "-s", "rate=2"], "'rate' is given twice"),
        (["synthetic", "--kinds", "quotes"], "'quotes' is no kind; did you mean 'quote'?"),
        (["replay", "--symbols", "A"], "provider replay: 'path' is missing"),
        (["synthetic", "--no-plugins"], "all plugins are off"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_run(mdp, arguments, message):
    """CLI-1."""
    said = mdp(*arguments, code=2)
    assert said.out == ""
    assert message in said.err


def test_a_secret_is_given_by_reference_alone(mdp, installed, write, monkeypatch):
    """API-10."""
    installed(write("parts", FILTER_AND_FILE))
    monkeypatch.setenv("KEY", "hunter22")
    said = mdp("parts", "-s", "loses=no", "-s", "key=hunter22", code=2)
    assert "'key' is a secret, and command lines are kept and seen: write 'key={env: NAME}'" in said.err
    assert "hunter22" not in said.err
    checks = outcomes(
        mdp("parts", "-s", "loses=no", "-s", "key={env: KEY}", "--json", "-", code=1), "OperatorConformance"
    )
    assert checks["test_is_an_operator"] == ("passed", "")


def test_without_pytest_it_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['pytest'] = None\nfrom market_data_pipeline.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "conformance", "synthetic"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the conformance suites need pytest: pip install 'market-data-pipeline[testing]'" in done.stderr
