"""Adds a single command, called like the plugin."""

import click

from market_data_pipeline.plugins import CommandSpec, PluginHooks


class Plugin(PluginHooks):
    def mdp_commands(self):
        return [CommandSpec(name="command", factory=command)]


@click.command()
@click.option("--loud", is_flag=True)
def command(loud):
    click.echo("HELLO" if loud else "hello")


plugin = Plugin()
