"""Commands of plugins: asked for lazily, of one plugin alone."""

import click
import pytest

from market_data_pipeline import errors
from market_data_pipeline.plugins import CommandSpec
from market_data_pipeline.plugins.registration import register

COUNTED = """
from market_data_pipeline.plugins import CommandSpec, PluginHooks
calls = []
class Plugin(PluginHooks):
    def mdp_commands(self, context):
        calls.append(context.plugin)
        {body}
plugin = Plugin()
"""


@pytest.fixture
def counted(host_of, write):
    """Make a host of a plugin with that body of `mdp_commands`, which keeps its calls."""

    def make(body):
        host = host_of(write("counted", COUNTED.format(body=body)), "exit")
        host.load("counted")
        import market_data_fake_counted

        return host, market_data_fake_counted.calls

    return make


def test_a_plugin_is_asked_when_its_commands_are_wanted_and_once(counted):
    host, calls = counted("yield CommandSpec(name='login', factory='no_such_module:login')")
    assert calls == []
    (spec,) = host.commands("counted")
    assert host.commands("counted") == (spec,)
    assert (spec.name, spec.plugin, spec.kind) == ("login", "counted", "command")
    assert calls == ["counted"]


def test_only_the_named_plugin_is_loaded(host_of):
    host = host_of("commands", "exit", "good")
    assert [spec.name for spec in host.commands("commands")] == ["greet", "fail"]
    assert {record.name: record.state for record in host.records()} == {
        "commands": "loaded",
        "exit": "found",
        "good": "found",
    }


def test_a_plugin_without_commands_has_none(host_of):
    assert host_of("good").commands("good") == ()


def test_a_class_has_neither_commands_nor_events():
    source = type("Source", (), {"batches": print, "close": print})
    registration = register(source, plugin="acme")
    assert registration.commands == ()
    assert not registration.hears_events


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("raise OSError('no')", "its hook mdp_commands raised OSError: no"),
        ("return [1]", "its hook mdp_commands returns 1; each must be a CommandSpec"),
        ("return [CommandSpec(name='a1', factory=print)] * 2", "returns the command 'a1' twice"),
        ("return [CommandSpec(name='A', factory=print)]", "the name 'A' of a CommandSpec must match"),
    ],
)
def test_a_hook_that_fails_makes_its_plugin_failed(counted, body, text):
    """RT-3."""
    host, _ = counted(body)
    for _ in range(2):
        with pytest.raises(errors.PluginContractError, match="plugin 'counted'") as raised:
            host.commands("counted")
        assert text in str(raised.value)
    assert host.specs("counted") == ()


def test_commands_of_a_plugin_that_cannot_be_used_are_its_error(host_of):
    with pytest.raises(errors.PluginLoadError, match="its import raised SystemExit: 3"):
        host_of("exit").commands("exit")
    with pytest.raises(errors.PluginNotFound, match="did you mean 'exit'"):
        host_of("exit").commands("exi")


def test_a_factory_is_a_command_or_returns_one():
    command = click.Command("greet")
    assert CommandSpec(name="greet", factory=command).resolve_command() is command
    assert CommandSpec(name="greet", factory=lambda: command).resolve_command() is command


def test_a_command_has_no_settings():
    with pytest.raises(TypeError, match="settings"):
        CommandSpec(name="greet", factory=print, settings="a:b")
