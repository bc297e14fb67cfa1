"""The host: finds, loads and asks plugins, each under a guard, so that a broken one is listed and harmless."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, cast

import attrs

from market_data_pipeline.errors import PluginError, PluginLoadError, PluginNotFound, nearest
from market_data_pipeline.plugins.discovery import discover
from market_data_pipeline.plugins.loading import load
from market_data_pipeline.plugins.offers import Offers
from market_data_pipeline.plugins.policy import PluginPolicy, canonical
from market_data_pipeline.plugins.record import PluginRecord, reason_of

if TYPE_CHECKING:
    from market_data_pipeline.plugins.registration import Registration
    from market_data_pipeline.plugins.specs import (
        AnySpec,
        CommandSpec,
        ComponentKind,
        ComponentSpec,
        ProviderSpec,
        SourceSpec,
    )

__all__ = ["PluginHost"]

_log = logging.getLogger(__name__)

_INSTALL: Final = (
    "no provider is installed; in this project's folder, `pip install . ./plugins/market-data-synthetic` installs one"
    " that needs no account"
)


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
        self._offers = Offers(self.policy.prefer)
        self._all_loaded = False
        self._watchers: list[Callable[[PluginRecord], None]] = []

    # --- what is installed -------------------------------------------------------------------------------------------

    def discover(self) -> None:
        """Read the metadata of what is installed, once. Every other method does it when it needs to."""
        if self._records is None:
            self._records = discover(self.policy, path=self._path)

    def refresh(self) -> None:
        """Forget all, and discover anew: after something was installed or removed."""
        importlib.invalidate_caches()
        self._records, self._all_loaded = None, False
        self._offers.clear()
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
        return self._load(next((record for record in records if record.state != "failed"), records[0]))

    def load_all(self, *, quiet: bool = False) -> None:
        """Load every plugin; one that cannot be used says so in its record and, unless `quiet`, in the log."""
        if self._all_loaded:
            return
        self._all_loaded = True
        for record in self.records():
            outcome = self._load(record)
            if outcome.is_wrong and not quiet:
                _log.warning("%s", outcome.error)

    def problems(self) -> tuple[PluginError, ...]:
        """Load every plugin, and return all that is wrong; a disabled one is not, unless it is required."""
        self.load_all(quiet=True)
        failed = [record.exception for record in self.records() if record.is_wrong and record.exception]
        idle = self._offers.idle_preferences(record.name for record in self.records())
        return tuple(dict.fromkeys((*failed, *self._unusable(), *self._offers.conflicts(), *idle)))

    def check_required(self) -> None:
        """Load what `policy.required` names, and with `policy.strict` everything; every search by name begins so.

        Raises:
            PluginLoadError: Some of it cannot be used; its text names all of that.
        """
        wrong = self.problems() if self.policy.strict else tuple(self._unusable())
        if wrong:
            raise PluginLoadError("; ".join(map(str, wrong)), plugin=wrong[0].plugin) from wrong[0]

    def watch(self, watcher: Callable[[PluginRecord], None]) -> None:
        """Call `watcher` whenever a plugin was loaded or failed, until `unwatch`."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[PluginRecord], None]) -> None:
        """Call `watcher` no more."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def _load(self, record: PluginRecord) -> PluginRecord:
        if record.state != "found":
            return record
        begin = self._timer()
        try:
            self._offers.add(record, load(record.name, record.value))
            outcome = attrs.evolve(record, state="loaded")
        except PluginError as error:
            outcome = _failed(record, error)
        return self._became(record, attrs.evolve(outcome, load_ns=self._timer() - begin))

    def _became(self, record: PluginRecord, outcome: PluginRecord) -> PluginRecord:
        self._records = [outcome if known is record else known for known in self.records()]
        for watcher in tuple(self._watchers):
            watcher(outcome)
        return outcome

    def _unusable(self) -> Iterable[PluginError]:
        """Yield why something that is required cannot be used."""
        if not self.policy.required:
            return
        known: dict[str, set[str]] = {}
        for record in self.records():
            for name in (record.name, record.distribution):
                known.setdefault(canonical(name), set()).add(record.name)
        for required in sorted(self.policy.required):
            if required not in known:
                what = f"the setting plugins.required names {required!r}, which is not installed"
                yield PluginNotFound(
                    f"{what}; {nearest(required, known)}", plugin=required, cure="correct that, or install it"
                )
            for name in sorted(known.get(required, ())):
                if exception := self.load(name).exception:
                    yield exception

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
        return cast("tuple[ProviderSpec, ...]", self._of_kind("provider"))

    def sources(self) -> tuple[SourceSpec, ...]:
        """Return the sources of the plugins that are loaded, sorted by name."""
        return cast("tuple[SourceSpec, ...]", self._of_kind("source"))

    def components(self, kind: ComponentKind) -> tuple[ComponentSpec, ...]:
        """Return the components of a kind that are built in or of plugins that are loaded, sorted by name."""
        return cast("tuple[ComponentSpec, ...]", self._of_kind(kind))

    def specs(self, plugin: str) -> tuple[AnySpec, ...]:
        """Return the providers, sources and components that a loaded plugin offers."""
        return self._offers.of(plugin)

    def commands(self, plugin: str) -> tuple[CommandSpec, ...]:
        """Load a plugin and no other, and ask it for its commands.

        Returns:
            Their specs.

        Raises:
            PluginNotFound: None of that name is installed.
            PluginError: It cannot be used, or its hook fails; then it is failed from now on.
        """
        record = self.load(plugin)
        if record.exception:
            raise record.exception.with_traceback(None)
        try:
            return self._offers.registration(plugin).commands
        except PluginError as error:
            self._offers.remove(plugin)
            outcome = self._became(record, _failed(record, error))
            raise (outcome.exception or error) from error.__cause__

    def registrations(self) -> tuple[Registration, ...]:
        """Return the plugins that are loaded, with their hooks."""
        return self._offers.registrations()

    def _find(self, name: str, *kinds: str) -> AnySpec:
        self.check_required()
        if builtin := self._offers.builtin(name, kinds):
            return builtin
        if any(record.name == name for record in self.records()):
            record = self.load(name)
            if record.exception:
                raise record.exception.with_traceback(None)
            if own := self._offers.own(name, kinds):  # it speaks first, whatever else is loaded
                return own
        self.load_all()
        if found := self._offers.named(name, kinds):
            return found
        raise self._not_found(name, kinds)

    def _of_kind(self, kind: str) -> tuple[AnySpec, ...]:
        specs = [spec for spec in self._offers.everything() if spec.kind == kind]
        return tuple(sorted(specs, key=lambda spec: (spec.name, spec.plugin)))

    def _not_found(self, name: str, kinds: Sequence[str]) -> PluginNotFound:
        offers = dict.fromkeys((spec.kind, spec.name) for spec in self._offers.everything())
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


def _failed(record: PluginRecord, error: PluginError) -> PluginRecord:
    return record.failed(reason_of(error), error.cause, error.cure, error.__cause__)
