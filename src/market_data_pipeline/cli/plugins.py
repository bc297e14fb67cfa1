"""`mdp plugins`: what is installed, what one offers, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from market_data_pipeline.cli.options import Group, common, plugin_host, with_settings
from market_data_pipeline.errors import PluginError, PluginNotFound

if TYPE_CHECKING:
    from market_data_pipeline.contracts import AnyRule
    from market_data_pipeline.plugins import AnySpec, Diagnosis, PluginHost, PluginRecord

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=Group, short_help="Show the installed plugins.")
def plugins() -> None:
    """Show the installed plugins."""


@plugins.command("list")
@_as_json
@with_settings
@common
def list_plugins(*, as_json: bool, **chosen: Any) -> None:
    """List what is installed, from its metadata alone: nothing is imported, and a broken plugin does no harm."""
    records = plugin_host(**chosen).records()
    if as_json:
        _print_json([_summary(record) for record in records])
    else:
        _table(records)


@plugins.command()
@click.argument("name")
@_as_json
@with_settings
@common
def info(*, name: str, as_json: bool, **chosen: Any) -> None:
    """Show one plugin, or one provider, source, operator, batcher or sink, with all its settings."""
    host = plugin_host(**chosen)
    record, specs = _look_up(host, name)
    described = [_describe(spec) for spec in specs]
    if as_json:
        plugin = None if record is None else {**_summary(record), "path": record.path, "error": record.error}
        _print_json({"plugin": plugin, "offers": described})
    else:
        _print(record, described)
    if record is not None and record.is_wrong:
        raise click.exceptions.Exit(1)


@plugins.command()
@_as_json
@with_settings
@common
def freeze(*, as_json: bool, **chosen: Any) -> None:
    """Print the installed distributions with plugins as pip's constraints; reads metadata alone, like list."""
    records = plugin_host(**chosen).records()
    sound = sorted({(record.distribution, record.version) for record in records if record.reason != "metadata"})
    if as_json:
        _print_json([{"distribution": distribution, "version": version} for distribution, version in sound])
    else:
        click.echo("".join(f"{distribution}=={version}\n" for distribution, version in sound), nl=False)
    for record in records:
        if record.reason == "metadata":
            click.echo(f"# {record.distribution}: {record.cause}; {record.cure}", err=True)


@plugins.command()
@_as_json
@with_settings
@common
def doctor(*, as_json: bool, **chosen: Any) -> None:
    """Load every plugin and import all that they name; ends with 1 if something is wrong."""
    from market_data_pipeline.plugins import diagnose

    host = plugin_host(**chosen)
    diagnosis = diagnose(host)
    if as_json:
        import attrs

        records = [{**_summary(record), "error": record.error} for record in host.records()]
        _print_json({"plugins": records, **attrs.asdict(diagnosis)})
    else:
        _table(host.records())
        _print_diagnosis(diagnosis)
    if diagnosis.problems:
        raise click.exceptions.Exit(1)


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    for word, findings in (
        ("problem", diagnosis.problems),
        ("warning", diagnosis.warnings),
        ("note", diagnosis.notes),
    ):
        for finding in findings:
            of = f" ({finding.distribution})" if finding.distribution else ""
            click.echo(
                f"\n{word}: {finding.plugin}{of}: {finding.reason}\n  cause: {finding.cause}\n  cure:  {finding.cure}"
            )
    if not diagnosis.problems:
        click.echo("\nnothing is wrong")


def _look_up(host: PluginHost, name: str) -> tuple[PluginRecord | None, Sequence[AnySpec]]:
    try:
        record = host.load(name)
    except PluginNotFound:
        host.load_all()
        everything: Iterable[AnySpec] = (
            *host.providers(),
            *host.sources(),
            *host.components("operator"),
            *host.components("batcher"),
            *host.components("sink"),
        )
        specs = [spec for spec in everything if name in {spec.name, spec.plugin}]
        if not specs:
            raise
        return None, specs
    if record.state != "loaded":
        return record, ()
    try:
        commands = host.commands(name)
    except PluginError:  # the record says it from now on
        return host.load(name), ()
    return record, (*host.specs(name), *commands)


def _summary(record: PluginRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "state": record.state,
        "reason": record.reason,
    }


def _print_json(data: object) -> None:
    import json

    click.echo(json.dumps(data, indent=2))


def _table(records: Sequence[PluginRecord]) -> None:
    if not records:
        click.echo("mdp: no plugin is installed", err=True)
        return
    summaries = [_summary(record) for record in records]
    lines = [[key.upper() for key in summaries[0]], *([value or "" for value in one.values()] for one in summaries)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def _describe(spec: AnySpec) -> dict[str, Any]:
    from market_data_pipeline.plugins import ProviderSpec, SourceSpec
    from market_data_pipeline.plugins.budget import budget_of

    described: dict[str, Any] = {"kind": spec.kind, "name": spec.name, "plugin": spec.plugin, "summary": spec.summary}
    if isinstance(spec, ProviderSpec | SourceSpec):
        described["kinds"] = sorted(spec.capabilities.kinds)
        if budget := budget_of(spec):
            described["budget"] = _budget(budget)
    try:
        model = spec.resolve_settings()
    except PluginError as error:
        return {**described, "error": str(error)}
    fields = () if model is None else model.model_fields.items()
    return {**described, "settings": [_setting(name, field) for name, field in fields]}


def _budget(rules: Sequence[AnyRule]) -> dict[str, Any]:
    import attrs

    from market_data_pipeline.contracts import long_run
    from market_data_pipeline.contracts.budget_check import described

    rates = [attrs.asdict(rate) for rate in long_run(rules) if rate.per_sec is not None]
    return {"rules": {rule.name: described(rule) for rule in rules}, "long_run": rates}


def _setting(name: str, field: Any) -> dict[str, Any]:
    has_default = not field.is_required() and field.default_factory is None  # a factory is a plugin's code
    default = field.default if has_default and field.repr else None
    return {
        "name": name,
        "required": field.is_required(),
        "default": default if default is None or isinstance(default, bool | int | float) else str(default),
        "description": field.description or "",
    }


def _print(record: PluginRecord | None, described: Sequence[dict[str, Any]]) -> None:
    if record is not None:
        for key, value in {**_summary(record), "entry point": record.value, "path": record.path}.items():
            if value:
                click.echo(f"{key + ':':<14}{value}")
        if record.error:
            click.echo(f"\n{record.error}\n\n{record.traceback}".rstrip())
    for spec in described:
        kinds = f" ({', '.join(spec['kinds'])})" if "kinds" in spec else ""
        click.echo(f"\n{spec['kind']} {spec['name']}{kinds}: {spec['summary'] or 'no summary'}")
        if "error" in spec:
            click.echo(f"  {spec['error']}")
        for setting in spec.get("settings", ()):
            default = "required" if setting["required"] else f"default {setting['default']}"
            click.echo(f"  {setting['name']:<18} {setting['description']} ({default})")
        for name, text in spec.get("budget", {}).get("rules", {}).items():
            click.echo(f"  rule {name:<13} {text}")
        for rate in spec.get("budget", {}).get("long_run", ()):
            of = f"{rate['operation'] or 'all other calls'}{''.join(f', per {key}' for key in rate['per'])}"
            click.echo(f"  in the long run {rate['per_sec']:.3g} a second, by rule {rate['rule']}: {of}")
