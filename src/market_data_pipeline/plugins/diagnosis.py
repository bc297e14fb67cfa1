"""The diagnosis: all that is wrong with the installed plugins, each with its cause and its cure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import attrs

from market_data_pipeline.contracts import SECOND_NS, check_budget
from market_data_pipeline.errors import PluginError, PluginNotFound
from market_data_pipeline.plugins.record import PluginRecord, reason_of
from market_data_pipeline.plugins.specs import ProviderSpec

if TYPE_CHECKING:
    from market_data_pipeline.plugins.host import PluginHost
    from market_data_pipeline.plugins.specs import AnySpec

__all__ = ["SLOW_NS", "Diagnosis", "Finding", "diagnose"]

SLOW_NS: Final = SECOND_NS
"""A load that takes longer is a warning."""


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    plugin: str
    """The entry-point name, or the name that is claimed twice or missing."""
    distribution: str = ""
    """Name and version of what was installed; empty where it concerns several, or none."""
    reason: str
    """The record's reason; also missing, slow, duplicate and budget."""
    cause: str
    cure: str


@attrs.frozen(kw_only=True)
class Diagnosis:
    """What `diagnose` finds."""

    problems: tuple[Finding, ...]
    """What cannot be used."""
    warnings: tuple[Finding, ...]
    """What can be used, and should be mended."""
    notes: tuple[Finding, ...]
    """What is disabled."""


def diagnose(host: PluginHost) -> Diagnosis:
    """Load every plugin, ask it for its commands, and import all that it names."""
    host.load_all(quiet=True)
    imports = [finding for record in host.records() for finding in _imports(host, record)]
    records = {record.exception: record for record in host.records() if record.exception}
    problems = [_of_record(records[error]) if error in records else _of_error(error) for error in host.problems()]
    disabled = [_of_record(record) for record in records.values() if record.reason == "disabled"]
    return Diagnosis(
        problems=(*problems, *imports),
        warnings=tuple(finding for record in host.records() for finding in _warnings(host, record)),
        notes=tuple(finding for finding in disabled if finding not in problems),
    )


def _imports(host: PluginHost, record: PluginRecord) -> Iterator[Finding]:
    if record.state != "loaded":
        return
    try:
        commands = host.commands(record.name)
    except PluginError:  # the record says it from now on
        return
    for spec in (*host.specs(record.name), *commands):
        try:
            _resolve(spec)
        except PluginError as error:
            yield _of_error(error, record)


def _resolve(spec: AnySpec) -> None:
    if spec.kind == "command":
        spec.resolve_command()
    else:
        spec.resolve_settings()
        spec.resolve_factory()


def _warnings(host: PluginHost, record: PluginRecord) -> Iterator[Finding]:
    for spec in host.specs(record.name) if record.state == "loaded" else ():
        if isinstance(spec, ProviderSpec):
            for found in check_budget(spec.budget, held=spec.capabilities.held):
                cause = f"budget of {spec.name}, rule {found.rule!r}: {found.what}: {found.why}"
                yield _finding(record, "budget", cause, f"its author should {found.cure}")
    if (record.load_ns or 0) > SLOW_NS:
        yield _finding(
            record,
            "slow",
            f"it takes {(record.load_ns or 0) / 1e9:.1f} s to load",
            f"see `python -X importtime -c 'import {record.value.partition(':')[0]}'`; its author should name factories"
            " and settings as 'package.module:name', which are imported on first use",
        )
    for copy in record.stale:
        yield _finding(
            record,
            "duplicate",
            f"{record.version} in {record.path} is used, and there is also {copy}",
            f"run `pip uninstall {record.distribution}` until it finds nothing, and install it again",
        )


def _of_record(record: PluginRecord) -> Finding:
    return _finding(record, record.reason or "", record.cause, record.cure)


def _of_error(error: PluginError, record: PluginRecord | None = None) -> Finding:
    reason = "missing" if isinstance(error, PluginNotFound) else reason_of(error)
    if record is not None:
        return _finding(record, reason, error.cause, error.cure)
    return Finding(plugin=error.plugin, reason=reason, cause=error.cause, cure=error.cure)


def _finding(record: PluginRecord, reason: str, cause: str, cure: str) -> Finding:
    name = record.name
    return Finding(
        plugin=name,
        distribution=f"{record.distribution} {record.version}".strip(),
        reason=reason,
        cause=cause,
        cure=cure
        or f"`mdp plugins info {name}` shows the traceback; tell its author, or set MDP_PLUGINS_DISABLED={name}",
    )
