"""What a mistake looks like: exit code 2, one message with what would be right, no traceback (CLI-1)."""

from pathlib import Path

import pytest

from market_data_pipeline.cli import main

DISTS = Path(__file__).parents[1] / "data" / "dists"


@pytest.fixture
def fails(capsys, monkeypatch, tmp_path):
    """Run `mdp` in an empty folder, and return the message that it ends with."""
    monkeypatch.chdir(tmp_path)

    def fails(*arguments, code=2):
        assert main(arguments) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("mdp: error: ")
        assert err.count("\n") == 1
        return err

    return fails


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "no such command 'rnu'; did you mean 'run'?"),
        (["plugins", "lst"], "no such command 'lst'; did you mean 'list'?"),
        (["run"], "Missing argument 'SPEC'"),
        (["run", "--cuont", "1", "x"], "--count"),
        (["run", "--count", "0", "x"], "'--count'"),
        (["run", "--duration", "5x", "x"], "'5x' is not an interval: write it as 1s, 5m, 1h or 1d"),
        (["run", "x"], "'x': there is no such file, and a one-liner is SOURCE[:SYMBOLS]"),
        (["run", "x.yaml"], "x.yaml: cannot be read: No such file or directory"),
        (["run", "synthetc:A -> console"], "'synthetc'; did you mean 'synthetic'?"),
        (["run", "synthetic:A -> barz -> console"], "no operator is named 'barz'; did you mean 'bars'?"),
        (["run", "synthetic:A -> bars -> parqet:x"], "no sink is named 'parqet'; did you mean 'parquet'?"),
        (["run", "synthetic:A?sead=1 -> console"], "source synthetic: unknown key 'sead'; did you mean 'seed'"),
        (["run", "synthetic:A -> bars:1x -> console"], "'1x' is not an interval: write it as 1s, 5m, 1h or 1d"),
        (["run", "synthetic:A -> bars:1s?basis=bed -> console"], "'trade', 'mid', 'bid' or 'ask', not 'bed'"),
        (["run", "synthetic:A -> jsonl"], "sink jsonl: 'path' is missing"),
        (["run", "synthetic:A?kinds=bar -> console"], "synthetic gives quote or trade rows, not bar"),
        (
            ["run", "replay:A?path=x&format=leen -> console"],
            "format: Input should be 'parquet', 'lean', 'csv', 'jsonl' or 'dbn', not 'leen'",
        ),
        (["run", "replay:A?path=nowhere.parquet -> console"], "nowhere.parquet"),
        (["stream", "synthetic"], "synthetic"),
        (["stream", "synthetic:A", "--kinds", "quot"], "'quote', 'trade' or 'bar', not 'quot'"),
        (["run", "x", "--view", "ful"], "'ful' is not one of 'auto', 'full', 'line', 'none'"),
        (["bars", "nowhere"], 'nowhere: there is no such folder; `mdp run "… -> bars:1m -> parquet:nowhere"`'),
        (["bars", "."], "there are no bars: they lie in kind=bar/interval=…/provider=…/date=…"),
        (["bars", "--interval", "1x"], "'1x' is not an interval: write it as 1s, 5m, 1h or 1d"),
        (["bars", "--start", "yesterday"], "'yesterday' is not a time: write it as 2026-11-23T14:30:00+00:00"),
        (["bars", "--chart", "--json"], "--chart, --json and --list exclude each other"),
        (["plugins", "info", "synthetik"], "no plugin 'synthetik' is installed; did you mean 'synthetic'?"),
    ],
)
def test_a_mistake_ends_with_2_and_says_what_would_be_right(fails, arguments, message):
    """CLI-1."""
    assert message in fails(*arguments)


def test_a_mistake_in_a_file_is_named_with_its_place(fails, tmp_path):
    """CLI-1, CFG-1."""
    tmp_path.joinpath("p.yaml").write_text("source: synthetic\nsymbols: [A]\noprator: bars\nsink: console\n")
    assert fails("run", "p.yaml") == "mdp: error: p.yaml:3:1: unknown key 'oprator'; did you mean 'operator'?\n"


def test_where_no_provider_is_installed_it_says_how_to_install_one(fails, installed):
    installed()
    assert "no provider is installed" in fails("stream", "synthetic:A")


def test_a_provider_that_is_installed_but_broken_is_named_with_the_reason(fails, installed):
    installed("import-error", "good")
    message = fails("stream", "import-error:A")
    assert "market-data-fake-import-error 1.0.0" in message
    assert "No module named 'no_such_vendor_sdk'" in message
    assert "mdp plugins doctor" in message


def test_a_broken_plugin_is_no_hindrance_to_the_others(fails, installed):
    installed("import-error", "good")
    assert "did you mean 'good'" in fails("stream", "goood:A")


def test_no_plugins_means_none(fails):
    assert "leave --no-plugins away" in fails("stream", "synthetic:A", "--no-plugins")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MDP_NO_PLUGINS", "1", "unset MDP_NO_PLUGINS"),
        ("MDP_PLUGINS_DISABLED", "synthetic", "MDP_PLUGINS_DISABLED or the setting plugins.disabled names it"),
        ("MDP_PLUGINS", "replay", "MDP_PLUGINS or the setting plugins.only allows replay alone"),
        ("MDP_NO_PLUGINS", "maybe", "MDP_NO_PLUGINS: 'maybe' must be 1 or 0"),
    ],
)
def test_the_environment_controls_plugins(fails, monkeypatch, variable, value, message):
    monkeypatch.setenv(variable, value)
    assert message in fails("stream", "synthetic:A")


def test_a_bug_is_one_line_too(fails, monkeypatch):
    monkeypatch.setattr("market_data_pipeline.pipeline.oneliner.parse_oneliner", lambda *_: 1 / 0)
    message = fails("stream", "synthetic:A", code=1)
    assert message == "mdp: error: ZeroDivisionError: division by zero; this is a bug, --debug shows where\n"
