"""What several commands share: their common options, and the plugins that these allow."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import click

from market_data_pipeline.errors import nearest

if TYPE_CHECKING:
    from market_data_pipeline.orchestration.board import Board
    from market_data_pipeline.pipeline import PipelineBuilder
    from market_data_pipeline.plugins import PluginHost, PluginPolicy
    from market_data_pipeline.settings import PluginSettings


class Unfinished(Exception):
    """A pipeline ended before all that it had read was written."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Group(click.Group):
    """Commands: their help where none is named, and the nearest names where an unknown one is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments apart.

        Returns:
            Those that are left for the command.
        """
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name, and what is left of them.

        Raises:
            click.UsageError: There is no such command.
        """
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            ctx.fail(f"no such command {args[0]!r}; {nearest(args[0], known)}")
        return super().resolve_command(ctx, args)


def common(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command has, and set up logging before it runs."""

    @click.option("--no-plugins", is_flag=True, help="Use what is built in alone, like MDP_NO_PLUGINS=1.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
    @click.option("--debug", is_flag=True, envvar="MDP_DEBUG", help="Say all, with the traceback of an error.")
    @wraps(function)
    def with_logging(*, verbose: bool, debug: bool, **arguments: Any) -> None:
        from market_data_pipeline.cli.logs import configure

        configure("DEBUG" if debug else "INFO" if verbose else "WARNING")
        function(**arguments)

    return with_logging


def seconds(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """Return a duration, "90" or "90s" or "5m", in seconds.

    Raises:
        click.BadParameter: It is none.
    """
    if text is None:
        return None
    from market_data_pipeline.errors import ConfigurationError
    from market_data_pipeline.model import parse_interval

    try:
        return parse_interval(f"{text}s" if text.isdecimal() else text) / 1e9
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None


def parsed_by(where: str) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """Return what parses an option by a function, which is imported when the option is given."""

    def parse(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
        from market_data_pipeline.errors import ConfigurationError

        try:
            return None if text is None else resolve_name(where)(text)
        except ConfigurationError as error:
            raise click.BadParameter(str(error)) from None

    return parse


def plugin_host(*, no_plugins: bool, settings: str | None = None, profile: str | None = None) -> PluginHost:
    """Return the plugins that settings, environment and options allow; where nothing is set, no settings are imported.

    Raises:
        ConfigurationError: A variable or a setting is wrong.
    """
    from market_data_pipeline.plugins import PluginPolicy
    from market_data_pipeline.settings.variables import has_settings

    if not (settings or profile or has_settings(os.environ)):
        return _host(PluginPolicy.from_environ(os.environ), no_plugins=no_plugins)
    from market_data_pipeline.settings import load_settings

    return settings_host(load_settings(settings, profile=profile).settings.plugins, no_plugins=no_plugins)


def settings_host(settings: PluginSettings, *, no_plugins: bool) -> PluginHost:
    """Return the plugins that some settings, the environment and options allow.

    Raises:
        ConfigurationError: A variable is wrong.
    """
    from market_data_pipeline.settings import plugin_policy

    return _host(plugin_policy(settings), no_plugins=no_plugins)


def looking_host(settings: PluginSettings, *, no_plugins: bool) -> PluginHost:
    """Return the same for who starts nothing: what is required, and strictness, do not matter then.

    Raises:
        ConfigurationError: A variable is wrong.
    """
    import attrs

    from market_data_pipeline.settings import plugin_policy

    return _host(attrs.evolve(plugin_policy(settings), required=(), strict=False), no_plugins=no_plugins)


def _host(policy: PluginPolicy, *, no_plugins: bool) -> PluginHost:
    import attrs

    from market_data_pipeline.plugins import PluginHost

    return PluginHost(policy=attrs.evolve(policy, no_plugins=policy.no_plugins or no_plugins))


def with_settings(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which settings hold; they come as `settings` and `profile`."""
    file = click.option("--settings", metavar="FILE", help="Take settings from that file, like MDP_SETTINGS.")
    profile = click.option("--profile", metavar="NAME", help="Lay that profile of the file over it, like MDP__PROFILE.")
    return file(profile(function))


def pipeline_builder(*, no_plugins: bool, settings: str | None, profile: str | None) -> tuple[PipelineBuilder, Board]:
    """Return what makes pipelines out of these plugins, with these settings, and the board that their accounts are on.

    Raises:
        ConfigurationError: A variable or a setting is wrong.
    """
    from market_data_pipeline.orchestration.board import Board
    from market_data_pipeline.orchestration.coordination import coordinator_of
    from market_data_pipeline.pipeline import PipelineBuilder
    from market_data_pipeline.settings import load_settings
    from market_data_pipeline.source.pool import ProviderPool
    from market_data_pipeline.source.services import ServiceFactory

    loaded = load_settings(settings, profile=profile)
    coordinator = coordinator_of(loaded.settings)
    pool = ProviderPool(ServiceFactory(accounts=coordinator))
    host = settings_host(loaded.settings.plugins, no_plugins=no_plugins)
    builder = PipelineBuilder(loaded, host=host, pool=pool)
    return builder, Board(coordinator, loaded.settings.data_directory)
