"""The host: finds, loads and asks plugins, each under a guard, so that a broken one is listed and harmless."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

import attrs
from importlib_metadata import EntryPoint

from market_data_pipeline.errors import (
    PluginConflict,
    PluginContractError,
    PluginError,
    PluginIncompatible,
    PluginLoadError,
    PluginNotFound,
    nearest,
)
from market_data_pipeline.plugins.discovery import GROUP, discover
from market_data_pipeline.plugins.guard import guard
from market_data_pipeline.plugins.policy import PluginPolicy
from market_data_pipeline.plugins.record import PluginRecord, Reason

if TYPE_CHECKING:
    from market_data_pipeline.plugins.specs import AnySpec, ComponentKind, ComponentSpec, ProviderSpec, SourceSpec

__all__ = ["PluginHost"]

_log = logging.getLogger(__name__)

_BUILTIN: Final = "market_data_pipeline.plugins.builtin:plugin"
_INSTALL: Final = (
    "no provider is installed; in this project's folder, `pip install . ./plugins/market-data-synthetic` installs one"
    " that needs no account"
)
_REASONS: Final[dict[type[PluginError], Reason]] = {
    PluginConflict: "conflict",
    PluginContractError: "contract",
    PluginIncompatible: "incompatible",
}


class PluginHost:
    """What is installed, what of it is loaded, and what it offers. Two hosts know nothing of each other.

    Args:
        policy: Which plugins may be used.
        path: Where to look for distributions, instead of `sys.path`.
        timer: Measures how long a load takes, ns.
    """

    def __init__(
        self,
        *,
        policy: PluginPolicy | None = None,
        path: Sequence[str] | None = None,
        timer: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.policy: Final = policy or PluginPolicy()
        self._path = path
        self._timer = timer
        self._records: list[PluginRecord] | None = None
        self._specs: dict[str, tuple[AnySpec, ...]] = {}
        self._all_loaded = False

    # --- what is installed -------------------------------------------------------------------------------------------

    def discover(self) -> None:
        """Read the metadata of what is installed, once. Every other method does it when it needs to."""
        if self._records is None:
            self._records = discover(self.policy, path=self._path)

    def refresh(self) -> None:
        """Forget all, and discover anew: after something was installed or removed."""
        importlib.invalidate_caches()
        self._records, self._all_loaded = None, False
        self._specs.clear()
        self.discover()

    def records(self) -> tuple[PluginRecord, ...]:
        """Return what is known of each installed plugin, sorted by name. Imports nothing."""
        self.discover()
        return tuple(self._records or ())

    # --- loading -----------------------------------------------------------------------------------------------------

    def load(self, name: str) -> PluginRecord:
        """Load the plugin with that entry-point name, unless it is loaded or failed already.

        Returns:
            What became of it; a plugin's fault is in the record, not raised.

        Raises:
            PluginNotFound: No installed distribution has that entry point.
        """
        records = [record for record in self.records() if record.name == name]
        if not records:
            known = {record.name for record in self.records()}
            raise PluginNotFound(f"no plugin {name!r} is installed; {nearest(name, known)}", plugin=name)
        record = next((record for record in records if record.state != "failed"), records[0])
        return self._load(record) if record.state == "found" else record

    def load_all(self) -> None:
        """Load every plugin; one that cannot be used is a warning in the log and in its record."""
        if self._all_loaded:
            return
        self._all_loaded = True
        for record in self.records():
            outcome = self._load(record) if record.state == "found" else record
            if outcome.is_wrong:
                _log.warning("%s", outcome.error)

    def problems(self) -> tuple[PluginError, ...]:
        """Load every plugin, and return all that is wrong with them; a disabled one is not wrong."""
        self.load_all()
        failed = [record.exception for record in self.records() if record.is_wrong and record.exception]
        conflicts = [_conflict(specs) for specs in self._offers().values() if len(specs) > 1]
        return (*failed, *conflicts)

    def _load(self, record: PluginRecord) -> PluginRecord:
        begin = self._timer()
        try:
            target = _import(record.name, record.value)
            specs = _register(target, record.name)
            for spec in specs:
                if any((spec.kind, spec.name) == (ours.kind, ours.name) for ours in self._builtin):
                    raise PluginConflict(f"the {spec.kind} {spec.name!r} is built in; it needs another name")
        except PluginError as error:
            reason = _REASONS.get(type(error), "import")
            outcome = record.failed(reason, str(error), error.__cause__)
        else:
            self._specs[record.name] = specs
            outcome = attrs.evolve(record, state="loaded")
        outcome = attrs.evolve(outcome, load_ns=self._timer() - begin)
        self._records = [outcome if known is record else known for known in self.records()]
        return outcome

    # --- what is offered ---------------------------------------------------------------------------------------------

    def provider(self, name: str) -> ProviderSpec:
        """Return the provider of that name, loading what is needed to find it.

        Raises:
            PluginNotFound: None of that name is installed.
            PluginLoadError: It is installed and cannot be loaded, or is disabled.
            PluginConflict: Two plugins offer it.
            PluginIncompatible: It needs another version of the contract.
            PluginContractError: It breaks the contract.
        """
        return cast("ProviderSpec", self._find(name, "provider"))

    def source(self, name: str) -> SourceSpec:
        """Return the source of that name, loading what is needed to find it; raises what `provider` raises."""
        return cast("SourceSpec", self._find(name, "source"))

    def component(self, kind: ComponentKind, name: str) -> ComponentSpec:
        """Return the operator, batcher or sink of that name; raises what `provider` raises."""
        return cast("ComponentSpec", self._find(name, kind))

    def provider_or_source(self, name: str) -> ProviderSpec | SourceSpec:
        """Return the provider of that name, or else the source; raises what `provider` raises."""
        return cast("ProviderSpec | SourceSpec", self._find(name, "provider", "source"))

    def providers(self) -> tuple[ProviderSpec, ...]:
        """Return the providers of the plugins that are loaded, sorted by name."""
        return cast("tuple[ProviderSpec, ...]", self._loaded("provider"))

    def sources(self) -> tuple[SourceSpec, ...]:
        """Return the sources of the plugins that are loaded, sorted by name."""
        return cast("tuple[SourceSpec, ...]", self._loaded("source"))

    def components(self, kind: ComponentKind) -> tuple[ComponentSpec, ...]:
        """Return the components of a kind that are built in or of plugins that are loaded, sorted by name."""
        return cast("tuple[ComponentSpec, ...]", self._loaded(kind))

    def specs(self, plugin: str) -> tuple[AnySpec, ...]:
        """Return all that a loaded plugin offers."""
        return self._specs.get(plugin, ())

    @cached_property
    def _builtin(self) -> tuple[AnySpec, ...]:
        return _register(_import("builtin", _BUILTIN), "builtin")

    def _find(self, name: str, *kinds: str) -> AnySpec:
        if self.policy.strict and (problems := self.problems()):
            raise problems[0].with_traceback(None)
        for spec in self._builtin:
            if spec.kind in kinds and spec.name == name:
                return spec
        if any(record.name == name for record in self.records()) and (own := self._find_in_plugin(name, kinds)):
            return own
        self.load_all()
        offers = self._offers()
        for kind in kinds:
            if found := offers.get((kind, name)):
                if len(found) > 1:
                    raise _conflict(found)
                return found[0]
        raise self._not_found(name, kinds)

    def _find_in_plugin(self, name: str, kinds: Sequence[str]) -> AnySpec | None:
        """Ask the plugin of that name: it speaks first, whatever else is loaded; an alias means its only spec."""
        record = self.load(name)
        if record.exception:
            raise record.exception.with_traceback(None)
        for kind in kinds:
            offered = [spec for spec in self.specs(name) if spec.kind == kind]
            if len(offered) > 1:
                offered = [spec for spec in offered if spec.name == name]
            if offered:
                return offered[0]
        return None

    def _loaded(self, kind: str) -> tuple[AnySpec, ...]:
        specs = [*self._builtin, *(spec for specs in self._specs.values() for spec in specs)]
        return tuple(sorted((spec for spec in specs if spec.kind == kind), key=lambda spec: (spec.name, spec.plugin)))

    def _offers(self) -> dict[tuple[str, str], list[AnySpec]]:
        """Return, for each kind and name, one spec of each plugin that offers it; two names of one plugin are one."""
        offers: dict[tuple[str, str], dict[tuple[str, str], AnySpec]] = {}
        for record in self.records():
            for spec in self.specs(record.name) if record.state == "loaded" else ():
                offers.setdefault((spec.kind, spec.name), {})[record.distribution, record.value] = spec
        return {key: list(specs.values()) for key, specs in offers.items()}

    def _not_found(self, name: str, kinds: Sequence[str]) -> PluginNotFound:
        offers = [(spec.kind, spec.name) for spec in self._builtin] + list(self._offers())
        known = {other for kind, other in offers if kind in kinds}
        parts = [f"no {' or '.join(kinds)} is named {name!r}"]
        if known:
            parts.append(nearest(name, known))
        elif "provider" in kinds:
            parts.append(_INSTALL)
        parts += [f"{name!r} is a {kind}" for kind, other in offers if other == name]
        if wrong := sorted({record.name for record in self.records() if record.is_wrong}):
            parts.append(f"not usable: {', '.join(wrong)} (`mdp plugins doctor` says why)")
        if disabled := sorted({record.name for record in self.records() if record.reason == "disabled"}):
            parts.append(f"disabled: {', '.join(disabled)}")
        return PluginNotFound("; ".join(parts), plugin=name)


def _import(name: str, value: str) -> object:
    """Return what an entry point names.

    Raises:
        PluginLoadError: Its import fails.
    """
    with guard("its import", PluginLoadError, plugin=name):
        return EntryPoint(name=name, value=value, group=GROUP).load()


def _register(target: object, name: str) -> tuple[AnySpec, ...]:
    """Return what it offers. Specs and pluggy are imported here, so that a list of plugins costs neither.

    Raises:
        PluginError: It breaks the contract, or needs another version of it.
    """
    from market_data_pipeline.plugins.registration import register

    with guard("its registration", PluginContractError, plugin=name):
        return register(target, plugin=name)


def _conflict(specs: Sequence[AnySpec]) -> PluginConflict:
    spec, plugins = specs[0], " and ".join(sorted(repr(spec.plugin) for spec in specs))
    return PluginConflict(
        f"the plugins {plugins} offer a {spec.kind} {spec.name!r}; uninstall one, or name it in MDP_PLUGINS_DISABLED",
        plugin=spec.name,
    )
