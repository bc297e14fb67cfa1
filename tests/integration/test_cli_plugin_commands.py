"""`mdp NAME ...`: commands that plugins add (CLI-1)."""

import subprocess
import sys

import pytest

from market_data_pipeline.cli import main


@pytest.fixture
def mdp(capsys):
    """Run `mdp`, and return what it printed to standard output and error."""

    def mdp(*arguments, code=0):
        assert main(arguments) == code
        return capsys.readouterr()

    return mdp


def test_a_command_of_a_plugin_is_run(mdp, installed):
    installed("commands")
    assert mdp("commands", "greet", "world").out == "hello world\n"


def test_a_single_command_that_is_called_like_its_plugin_needs_no_name(mdp, installed):
    installed("command")
    assert mdp("command").out == "hello\n"
    assert mdp("command", "--loud").out == "HELLO\n"


def test_the_help_of_a_plugin_lists_its_commands_without_importing_them(mdp, installed):
    installed("commands")
    out = mdp("commands", "--help").out
    assert "Usage: mdp commands " in out
    assert [line.split(None, 1) for line in out.splitlines()[-2:]] == [
        ["fail", "Fail in some way."],
        ["greet", "Greet somebody."],
    ]
    assert mdp("commands").out == out


def test_no_other_plugin_is_loaded(mdp, installed, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("market_data_fake_")]:
        monkeypatch.delitem(sys.modules, name)
    installed("commands", "exit", "good")
    mdp("commands", "greet", "world")
    assert {name for name in sys.modules if name.startswith("market_data_fake_")} == {"market_data_fake_commands"}


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("bug", 1, "plugin 'commands': ValueError: boom; this is a bug, MDP_DEBUG=1 shows where"),
        ("config", 2, "plugin 'commands': key: must be 1"),
        ("text", 1, "plugin 'commands': no licence"),
        ("abort", 130, None),
        ("exit", 7, None),
        ("done", 0, None),
        ("pipe", 0, None),
    ],
)
def test_an_error_of_a_command_is_reported_with_the_name_of_its_plugin(mdp, installed, how, code, message):
    installed("commands")
    assert mdp("commands", "fail", how, code=code).err == ("" if message is None else f"mdp: error: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good"], "the plugin 'good' has no commands; `mdp plugins info good` shows what it offers"),
        (["god"], "no such command 'god'; did you mean 'good'"),
        (["commands", "gret"], "no such command 'gret'; did you mean 'greet'? (see `mdp commands --help`)"),
        (["commands", "greet"], "Missing argument 'NAME' (see `mdp commands greet --help`)"),
        (["exit"], "plugin 'exit' (market-data-fake-exit 1.0.0, entry point market_data_fake_exit:plugin) cannot be"),
        (["half-way", "x"], "its hook mdp_providers raised OSError: the list of venues cannot be read"),
    ],
)
def test_a_mistake_is_one_clear_message(mdp, installed, arguments, message):
    installed("good", "commands", "exit", "half-way")
    out, err = mdp(*arguments, code=2)
    assert out == ""
    assert err.startswith("mdp: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_built_in_command_keeps_its_name(mdp, installed, tmp_path):
    info = tmp_path / "market_data_fake_run-1.0.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: market-data-fake-run\nVersion: 1.0.0\n")
    info.joinpath("entry_points.txt").write_text("[market_data.providers]\nrun = market_data_fake_run:plugin\n")
    installed(tmp_path)
    assert "Usage: mdp run " in mdp("run", "--help").out


def test_the_environment_controls_plugins(mdp, installed, monkeypatch):
    """RT-7."""
    installed("commands")
    monkeypatch.setenv("MDP_NO_PLUGINS", "1")
    assert "all plugins are off; unset MDP_NO_PLUGINS" in mdp("commands", "greet", "world", code=2).err


def test_help_says_that_plugins_add_commands_and_looks_for_none():
    code = """
import sys
from market_data_pipeline.cli import main
main(["--help"])
print(sorted({"importlib_metadata", "pluggy", "market_data_synthetic"}.intersection(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Plugins may add commands: `mdp NAME --help`" in " ".join(done.stdout.split())
    assert done.stdout.endswith("\n[]\n")
