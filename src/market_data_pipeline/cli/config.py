"""`mdp config`: what is set and by whom, whether a settings file is right, and what one may say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from market_data_pipeline.cli.options import Group, common, looking_host, plugin_host, with_settings
from market_data_pipeline.errors import ConfigurationError, PluginError

if TYPE_CHECKING:
    from market_data_pipeline.plugins import PluginHost
    from market_data_pipeline.settings import LoadedSettings


@click.group(cls=Group, short_help="Show and check settings.")
def config() -> None:
    """Show and check settings."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_settings
@common
def show(*, as_json: bool, settings: str | None, profile: str | None, no_plugins: bool) -> None:
    """Show every setting and where it comes from; secrets are masked."""
    from market_data_pipeline.settings import load_settings

    loaded = load_settings(settings, profile=profile)
    rows = dict(_rows(loaded, looking_host(loaded.settings.plugins, no_plugins=no_plugins)))
    if as_json:
        shown = {key: {"value": value, "origin": origin} for key, (value, origin) in rows.items()}
        click.echo(json.dumps(shown, indent=2))
        return
    lines = [(key, json.dumps(value, ensure_ascii=False), origin) for key, (value, origin) in rows.items()]
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    for key, value, origin in lines:
        click.echo(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}")


@config.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@common
def check(*, files: tuple[str, ...], no_plugins: bool) -> None:
    """Check settings files, their profiles and the settings of each provider; ends with 2 and all mistakes."""
    import logging

    from market_data_pipeline.settings.checking import check_file
    from market_data_pipeline.settings.loading import listed

    findings = [check_file(file, partial(looking_host, no_plugins=no_plugins)) for file in files]
    for warning in (warning for one in findings for warning in one.warnings):
        logging.getLogger(__name__).warning("%s", warning)
    if mistakes := [mistake for one in findings for mistake in one.mistakes]:
        raise ConfigurationError(listed(mistakes))
    click.echo("ok")


@config.command()
@with_settings
@common
def schema(**chosen: Any) -> None:
    """Print the JSON Schema of a settings file, with the settings of the installed providers in it."""
    from market_data_pipeline.settings.schema import json_schema

    host = plugin_host(**chosen)
    host.load_all()
    click.echo(json.dumps(json_schema((*host.providers(), *host.sources())), indent=2))


def _rows(loaded: LoadedSettings, host: PluginHost) -> Iterator[tuple[str, tuple[Any, str]]]:
    from market_data_pipeline.settings.layers import flattened
    from market_data_pipeline.settings.secrets import redacted

    settings = loaded.settings
    shown: dict[str, Any] = json.loads(settings.model_dump_json())
    shown["data_dir"] = str(settings.data_directory)
    for name, values in settings.providers.items():
        shown["providers"][name] = json.loads(json.dumps(redacted(_model(host, name), values), default=str))
    for location, value in flattened(shown):
        yield ".".join(location), (value, str(loaded.origin(location)))


def _model(host: PluginHost, name: str) -> Any:
    try:
        return host.provider_or_source(name).resolve_settings()
    except PluginError:
        return None  # then any text of it may be a secret
