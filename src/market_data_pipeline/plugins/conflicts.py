"""Conflicts: several plugins with one name. The order of installation decides nothing; the settings may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from market_data_pipeline.errors import PluginConflict
from market_data_pipeline.plugins.policy import canonical
from market_data_pipeline.plugins.record import PluginRecord

if TYPE_CHECKING:
    from market_data_pipeline.plugins.specs import AnySpec

__all__ = ["Claim", "choose", "settle"]

Claim = tuple[PluginRecord, "AnySpec"]
"""What a plugin offers, with its record."""


def settle(records: Sequence[PluginRecord], prefer: Mapping[str, str]) -> list[PluginRecord]:
    """Return the records with at most one usable for each entry-point name: the only one, or the preferred one."""
    claims: dict[str, list[PluginRecord]] = {}
    for record in records:
        if record.state == "found":
            claims.setdefault(record.name, []).append(record)
    return [
        _judge(record, claims[record.name], prefer.get(record.name)) if record.state == "found" else record
        for record in records
    ]


def choose(claims: Sequence[Claim], preferred: str | None) -> AnySpec:
    """Return the only offer of one kind and name, or of several the preferred one.

    Raises:
        PluginConflict: There are several, and none or not one of them is preferred.
    """
    chosen = [
        spec for record, spec in claims if len(claims) == 1 or preferred in {None, canonical(record.distribution)}
    ]
    if len(chosen) == 1:
        return chosen[0]
    spec = claims[0][1]
    offers = " and ".join(sorted(f"{spec.plugin!r} ({record.distribution})" for record, spec in claims))
    what = f"the {spec.kind} {spec.name!r} is offered by {offers}"
    if preferred is not None and not chosen:
        raise PluginConflict(f"{what}, {_not_it(preferred)}", plugin=spec.name, cure=_mend(spec.name))
    raise PluginConflict(what, plugin=spec.name, cure=_cure(spec.name))


def _judge(record: PluginRecord, claims: Sequence[PluginRecord], preferred: str | None) -> PluginRecord:
    chosen = [claim for claim in claims if preferred in {None, canonical(claim.distribution)}]
    if chosen == [record]:
        return record
    named = " and ".join(sorted(f"{claim.distribution} {claim.version} ({claim.value})" for claim in claims))
    if preferred is not None and not chosen:
        return record.failed("conflict", f"this name is claimed by {named}, {_not_it(preferred)}", _mend(record.name))
    if len(chosen) == 1:
        why = f"the setting plugins.prefer gives this name to {chosen[0].distribution}"
        return record.failed("disabled", why, "change it there")
    return record.failed("conflict", f"this name is claimed by {named}", _cure(record.name))


def _not_it(preferred: str) -> str:
    return f"and not by {preferred}, to which the setting plugins.prefer gives it"


def _mend(name: str) -> str:
    return f"correct plugins.prefer.{name}, or install and enable what it names"


def _cure(name: str) -> str:
    return (
        "uninstall one, or name it in MDP_PLUGINS_DISABLED or the setting plugins.disabled, or set"
        f" plugins.prefer.{name} to the distribution to use"
    )
