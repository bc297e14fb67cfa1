"""Adds commands, one of which fails as one asks, and hears of events."""

import click

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.plugins import CommandSpec, PluginHooks

heard = []


class Plugin(PluginHooks):
    def mdp_commands(self, context):
        yield CommandSpec(name="greet", factory="market_data_fake_commands:greet", summary="Greet somebody.")
        yield CommandSpec(name="fail", factory="market_data_fake_commands:make_fail", summary="Fail in some way.")

    def mdp_event(self, context, event):
        heard.append((context.plugin, event))


plugin = Plugin()


@click.command()
@click.argument("name")
def greet(name):
    click.echo(f"hello {name}")


def make_fail():
    @click.command()
    @click.argument("how")
    def fail(how):
        raise {
            "abort": click.Abort(),
            "bug": ValueError("boom"),
            "config": ConfigurationError("must be 1", where="key"),
            "done": SystemExit(),
            "exit": SystemExit(7),
            "pipe": BrokenPipeError(),
            "text": SystemExit("no licence"),
        }[how]

    return fail
