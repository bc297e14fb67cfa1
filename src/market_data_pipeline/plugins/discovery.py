"""Discovery: which plugins are installed, from their metadata alone. Nothing of a plugin is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from importlib_metadata import distributions

from market_data_pipeline.plugins.conflicts import settle
from market_data_pipeline.plugins.guard import describe
from market_data_pipeline.plugins.policy import PluginPolicy, canonical
from market_data_pipeline.plugins.record import PluginRecord

if TYPE_CHECKING:
    from importlib_metadata import IDistribution

__all__ = ["GROUP", "discover"]

GROUP = "market_data.providers"
"""The entry-point group; it carries every kind of component."""


def discover(policy: PluginPolicy, *, path: Sequence[str] | None = None) -> list[PluginRecord]:
    """Return a record of each plugin on `path` (default: `sys.path`), sorted.

    Of several copies of one distribution the first on the path counts, as for an import; in one folder, which has no
    order, the newest version. Two distributions with one entry-point name are both failed, unless the policy prefers
    one: the order of installation decides nothing.
    """
    found: dict[str, list[list[PluginRecord]]] = {}
    for distribution in distributions() if path is None else distributions(path=list(path)):
        if records := list(_read(distribution)):
            found.setdefault(canonical(records[0].distribution), []).append(records)
    allowed = [_judge(record, policy) for copies in found.values() for record in _first(copies)]
    return sorted(settle(allowed, policy.prefer), key=lambda record: (record.name, record.distribution, record.value))


def _first(copies: Sequence[Sequence[PluginRecord]]) -> Iterator[PluginRecord]:
    """Yield the plugins of the copy that counts; they name the other versions, which lie around."""
    folder = Path(copies[0][0].path).parent
    first = max((copy for copy in copies if Path(copy[0].path).parent == folder), key=lambda copy: _age(copy[0]))
    version = first[0].version
    stale = [copy[0] for copy in copies if copy[0].version != version]
    for record in first:
        yield attrs.evolve(record, stale=tuple(f"{other.version or 'unknown'} in {other.path}" for other in stale))


def _age(record: PluginRecord) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", record.version)], record.path


def _read(distribution: IDistribution) -> Iterator[PluginRecord]:
    """Yield the plugins of one distribution; where damage concerns our group, as failed."""
    place = Path(str(getattr(distribution, "_path", "")))  # of a zip file it is no real path
    folder, _, version = place.stem.partition("-")
    name = canonical(folder)
    points = [(name, "")]
    try:
        if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            return
        # `.module` parses the value, which is damaged if it names none.
        points = sorted({(e.name, e.value) for e in distribution.entry_points.select(group=GROUP) if e.module})
        stated = distribution.metadata["Name"], distribution.metadata["Version"]
        if not all(stated):
            raise ValueError("METADATA has no Name or no Version")  # noqa: TRY301 - one way to report damage
        name, version = stated
        damage = None
    except Exception as error:  # noqa: BLE001 - whatever a stranger's files make the reader raise
        if isinstance(error, UnicodeDecodeError) and f"[{GROUP}]".encode() not in error.object:
            return
        damage = error
    for entry, value in points:
        record = PluginRecord(name=entry, value=value, distribution=name, version=version, path=str(place))
        if damage:
            record = record.failed("metadata", f"{place} is damaged ({describe(damage)})", "install it again", damage)
        yield record


def _judge(record: PluginRecord, policy: PluginPolicy) -> PluginRecord:
    refusal = policy.refusal(record.name, record.distribution)
    return record.failed("disabled", *refusal) if refusal else record
