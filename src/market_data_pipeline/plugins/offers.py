"""Offers: what is built in and what the loaded plugins offer, by kind and name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from market_data_pipeline.errors import PluginConflict, PluginNotFound
from market_data_pipeline.plugins.conflicts import Claim, choose
from market_data_pipeline.plugins.loading import load
from market_data_pipeline.plugins.policy import canonical
from market_data_pipeline.plugins.record import PluginRecord

if TYPE_CHECKING:
    from market_data_pipeline.plugins.registration import Registration
    from market_data_pipeline.plugins.specs import AnySpec

__all__ = ["Offers"]

_BUILTIN: Final = "market_data_pipeline.plugins.builtin:plugin"


class Offers:
    """What can be had. Of several plugins with one name, that of the preferred distribution."""

    def __init__(self, prefer: Mapping[str, str]) -> None:
        self._prefer = prefer
        self._loaded: dict[str, tuple[PluginRecord, Registration]] = {}

    @cached_property
    def _builtin(self) -> tuple[AnySpec, ...]:
        return load("builtin", _BUILTIN).specs

    def add(self, record: PluginRecord, registration: Registration) -> None:
        """Add what a plugin offers.

        Raises:
            PluginConflict: It takes the name of something built in.
        """
        taken = {(spec.kind, spec.name) for spec in self._builtin}
        for spec in registration.specs:
            if (spec.kind, spec.name) in taken:
                raise PluginConflict(
                    f"the {spec.kind} {spec.name!r} is built in", cure="its author must give it another name"
                )
        self._loaded[record.name] = record, registration

    def remove(self, plugin: str) -> None:
        """Take back what a plugin offers."""
        self._loaded.pop(plugin, None)

    def clear(self) -> None:
        """Take back what all plugins offer."""
        self._loaded.clear()

    def registrations(self) -> tuple[Registration, ...]:
        """Return all plugins that are loaded."""
        return tuple(registration for _, registration in self._loaded.values())

    def registration(self, plugin: str) -> Registration:
        """Return a loaded plugin."""
        return self._loaded[plugin][1]

    def of(self, plugin: str) -> tuple[AnySpec, ...]:
        """Return all that a plugin offers; nothing, if it is not loaded."""
        return self.registration(plugin).specs if plugin in self._loaded else ()

    def everything(self) -> list[AnySpec]:
        """Return all that is built in or of a loaded plugin."""
        return [*self._builtin, *(spec for one in self.registrations() for spec in one.specs)]

    def builtin(self, name: str, kinds: Sequence[str]) -> AnySpec | None:
        """Return what is built in of that name, of the first kind that has it."""
        return next((spec for spec in self._builtin if spec.kind in kinds and spec.name == name), None)

    def own(self, plugin: str, kinds: Sequence[str]) -> AnySpec | None:
        """Return what a plugin offers under its own name, of the first kind that it has; a single spec has any name."""
        for kind in kinds:
            offered = [spec for spec in self.of(plugin) if spec.kind == kind]
            if len(offered) > 1:
                offered = [spec for spec in offered if spec.name == plugin]
            if offered:
                return offered[0]
        return None

    def named(self, name: str, kinds: Sequence[str]) -> AnySpec | None:
        """Return what plugins offer of that name, of the first kind that has it.

        Raises:
            PluginConflict: Several plugins offer it, and none is preferred.
        """
        claims = self._claims()
        return next((self._choose(claims[kind, name]) for kind in kinds if (kind, name) in claims), None)

    def conflicts(self) -> Iterable[PluginConflict]:
        """Yield what several plugins offer and the settings do not settle."""
        for claims in self._claims().values():
            try:
                self._choose(claims)
            except PluginConflict as error:
                yield error

    def idle_preferences(self, entry_points: Iterable[str]) -> Iterable[PluginNotFound]:
        """Yield the preferences for names that are neither an entry point nor offered by the distribution."""
        claimed = {
            (spec.name, canonical(record.distribution)) for record, one in self._loaded.values() for spec in one.specs
        }
        for name in self._prefer.keys() - set(entry_points):
            if (name, self._prefer[name]) not in claimed:
                yield PluginNotFound(
                    f"the setting plugins.prefer gives {name!r} to {self._prefer[name]}, which offers nothing of that"
                    " name",
                    plugin=name,
                    cure=f"correct plugins.prefer.{name}, or take it out",
                )

    def _choose(self, claims: Sequence[Claim]) -> AnySpec:
        return choose(claims, self._prefer.get(claims[0][1].name))

    def _claims(self) -> dict[tuple[str, str], list[Claim]]:
        """Return, for each kind and name, one spec of each plugin that offers it; two names of one plugin are one."""
        claims: dict[tuple[str, str], dict[tuple[str, str], Claim]] = {}
        for record, registration in self._loaded.values():
            for spec in registration.specs:
                claims.setdefault((spec.kind, spec.name), {})[record.distribution, record.value] = record, spec
        return {key: list(found.values()) for key, found in claims.items()}
