"""`mdp conformance`: whether an installed plugin keeps the contract, check by check."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from market_data_pipeline.cli.options import common, parsed_by, seconds, settings_host, with_settings
from market_data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from market_data_pipeline.plugins import PluginRecord
    from market_data_pipeline.testing.conformance.report import Checked

_interval = parsed_by("market_data_pipeline.model:parse_interval")
_time = parsed_by("market_data_pipeline.model:parse_time")


@click.command(short_help="Check whether a plugin keeps the contract.")
@click.argument("name")
@click.option("-s", "--set", "given", multiple=True, metavar="KEY=VALUE", help="A setting; may be given several times.")
@click.option("--symbols", metavar="SYMBOLS", help="Symbols that it has, with commas; two if it can.")
@click.option("--kinds", metavar="KINDS", help="quote, trade, bar, or several with commas; all that are declared.")
@click.option("--rows", type=click.IntRange(min=1), metavar="N", help="Judge so many of each stream: 500.")
@click.option("--limit", callback=seconds, metavar="TIME", help="So long may a check take: 10s.")
@click.option("--virtual", is_flag=True, help="Let nobody wait: for what waits on the services' clock alone.")
@click.option("--start", callback=_time, metavar="TIME", help="Ask for bars of the past from here on.")
@click.option("--end", callback=_time, metavar="TIME", help="To there; both left out: an hour of the last weekday.")
@click.option("--interval", "interval_ns", callback=_interval, metavar="TIME", help="Of that length: 1m.")
@click.option("--json", "file", type=click.Path(dir_okay=False), metavar="FILE", help="Write JSON; `-` prints it.")
@with_settings
@common
def conformance(
    *,
    name: str,
    given: Sequence[str],
    symbols: str | None,
    kinds: str | None,
    file: str | None,
    settings: str | None,
    profile: str | None,
    no_plugins: bool,
    **tried: Any,
) -> None:
    """Run the conformance suites that apply to an installed plugin; ends with 1 if a check fails.

    NAME is that of its entry point, as `mdp plugins list` shows it.

    \b
      mdp conformance synthetic --symbols AAPL,MSFT --virtual
      mdp conformance replay -s path=./data --symbols EURUSD,GBPUSD --json report.json
    """  # noqa: D301 - click takes the character \b for "as it stands"
    _check_pytest()
    from market_data_pipeline.settings import load_settings
    from market_data_pipeline.testing.conformance.declared import declared_suites
    from market_data_pipeline.testing.conformance.report import run_suites
    from market_data_pipeline.testing.conformance.trial import Trial

    config = load_settings(settings, profile=profile).settings
    host = settings_host(config.plugins, no_plugins=no_plugins)
    record = host.load(name)
    if record.reason == "disabled" and record.exception:
        raise record.exception
    trial = Trial(
        settings=_pairs(given),
        config=config,
        symbols=_names(symbols),
        kinds=_kinds(kinds),
        **{key: value for key, value in tried.items() if value is not None},
    )
    suites = declared_suites(record, host.specs(name) if record.state == "loaded" else (), trial)
    table = _Table(is_shown=file != "-")
    checks = run_suites(suites, tell=table.add)
    table.end(checks)
    if file is not None:
        with click.open_file(file, "w", encoding="utf-8") as out:
            click.echo(json.dumps(_as_dict(record, checks), indent=2), file=out)
    _check_outcomes(checks)


def _check_outcomes(checks: Sequence[Checked]) -> None:
    """End with 1 if a check failed.

    Raises:
        click.exceptions.Exit: One did.
    """
    if any(check.outcome == "failed" for check in checks):
        raise click.exceptions.Exit(1)


def _check_pytest() -> None:
    """Check that the suites can be imported.

    Raises:
        ConfigurationError: pytest is not installed.
    """
    from market_data_pipeline import testing

    try:
        _ = testing.PluginConformance
    except ImportError as error:
        raise ConfigurationError(str(error)) from error


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def _kinds(text: str | None) -> Any:
    from typing import get_args

    from market_data_pipeline.errors import nearest
    from market_data_pipeline.model import Kind

    known = get_args(Kind)
    for name in _names(text):
        if name not in known:
            raise click.BadParameter(f"{name!r} is no kind; {nearest(name, known)}", param_hint="'--kinds'")
    return _names(text) or None


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"{text!r} is no setting: write key=value", param_hint="'-s'")
        if key in pairs:
            raise click.BadParameter(f"{key!r} is given twice", param_hint="'-s'")
        pairs[key] = value
    return pairs


class _Table:
    """Lines on standard output, each written when its check is done."""

    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._heading = ""

    def add(self, check: Checked) -> None:
        """Write a check, under the name of its suite."""
        heading = f"{check.suite} of {check.subject}"
        if heading != self._heading:
            self._print(f"\n{heading}" if self._heading else heading)
            self._heading = heading
        reason = f": {check.message}" if check.outcome == "skipped" else ""
        self._print(f"  {check.outcome:<7}  {check.check}{reason}")
        if check.outcome == "failed":
            self._print(indent(check.message, " " * 11))

    def end(self, checks: Sequence[Checked]) -> None:
        """Write the sums."""
        self._print("\n" + ", ".join(f"{count} {outcome}" for outcome, count in _sums(checks).items()))

    def _print(self, text: str) -> None:
        if self._is_shown:
            click.echo(text)


def _sums(checks: Sequence[Checked]) -> dict[str, int]:
    found = Counter(check.outcome for check in checks)
    return {outcome: found[outcome] for outcome in ("passed", "failed", "skipped")}


def _as_dict(record: PluginRecord, checks: Sequence[Checked]) -> dict[str, Any]:
    import attrs

    return {
        "plugin": record.name,
        "distribution": record.distribution,
        "version": record.version,
        **_sums(checks),
        "checks": [attrs.asdict(check) for check in checks],
    }
