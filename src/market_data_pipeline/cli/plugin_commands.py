"""`mdp NAME ...`: the commands that plugins add. A plugin is loaded when its name is typed, and no other with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from market_data_pipeline.cli.options import Group, plugin_host
from market_data_pipeline.errors import PluginError, PluginNotFound, nearest

if TYPE_CHECKING:
    from market_data_pipeline.plugins import CommandSpec


_CLEAR = (click.ClickException, click.exceptions.Exit, click.Abort, PluginError, BrokenPipeError)
"""What is reported as it is."""


class PluginCommandFailed(Exception):
    """The code of a plugin's command raised something; the original is the cause."""

    def __init__(self, plugin: str, error: Exception) -> None:
        super().__init__(f"plugin {plugin!r}: {error}")
        self.plugin = plugin
        self.error = error


class RootGroup(Group):
    """The built-in commands, and behind them those of plugins."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name, and what is left of them.

        Raises:
            click.UsageError: There is no such command.
            PluginError: There is a plugin of that name, and it cannot be used.
        """
        name, *rest = args
        if name in self.commands or name.startswith("-"):
            return super().resolve_command(ctx, args)
        from market_data_pipeline.cli.logs import configure

        configure("DEBUG" if click.BOOL(os.environ.get("MDP_DEBUG") or "0") else "WARNING")
        host = plugin_host(no_plugins=False)
        try:
            specs = host.commands(name)
        except PluginNotFound:
            known = {*self.commands, *(record.name for record in host.records() if record.state == "found")}
            ctx.fail(f"no such command {name!r}; {nearest(name, known)}")
        if not specs:
            ctx.fail(f"the plugin {name!r} has no commands; `mdp plugins info {name}` shows what it offers")
        if [spec.name for spec in specs] == [name]:
            return name, specs[0].resolve_command(), rest
        return name, PluginGroup(name, {spec.name: spec for spec in specs}), rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Returns:
            What it returns.

        Raises:
            Exception: What a command raises; where it is a plugin's, with the name of that.
            SystemExit: A built-in command raised it.
        """
        try:
            return super().invoke(ctx)
        except (Exception, SystemExit) as error:
            plugin = ctx.invoked_subcommand
            if plugin is None or plugin in self.commands or isinstance(error, _CLEAR):
                raise
            named = _named(plugin, error)
            raise named from error


def _named(plugin: str, error: Exception | SystemExit) -> Exception:
    """Return what stands for an exception of a plugin's command; `sys.exit` with a number is no mistake."""
    if isinstance(error, Exception):
        return PluginCommandFailed(plugin, error)
    if error.code is None or isinstance(error.code, int):
        return click.exceptions.Exit(error.code or 0)
    return click.ClickException(f"plugin {plugin!r}: {error.code}")


class PluginGroup(Group):
    """The commands of one plugin, each imported when it is run."""

    def __init__(self, name: str, specs: Mapping[str, CommandSpec]) -> None:
        super().__init__(name, help=f"The commands of the plugin {name}.")
        self.specs = specs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return their names."""
        return sorted(self.specs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return one of them, imported."""
        return self.specs[cmd_name].resolve_command() if cmd_name in self.specs else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List them, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, spec.summary) for name, spec in sorted(self.specs.items())])
