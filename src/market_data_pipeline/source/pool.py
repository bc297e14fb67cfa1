"""Shared providers: one per name and identity, started by the first user and closed after the last."""

from __future__ import annotations

from typing import Any, Literal

import anyio
import attrs

from market_data_pipeline.contracts import MarketDataProvider
from market_data_pipeline.plugins import ProviderSpec
from market_data_pipeline.plugins.lifecycle import Tell
from market_data_pipeline.source.guard import bounded_close, bounded_start, contract_errors
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.source.tenant import working_for


@attrs.frozen(kw_only=True)
class ProviderStatus:
    """A look at one provider in use."""

    name: str
    state: Literal["starting", "running", "closing"]
    users: int
    """How many streams, pipelines and questions share it."""
    since: int | None
    """When it had started, int ns since the epoch, UTC."""


@attrs.define(eq=False)
class _Entry:
    """One provider, from the first who asks for it until it is closed."""

    spec: ProviderSpec
    identity: dict[str, Any]
    users: int = 0
    provider: MarketDataProvider | None = None
    since: int | None = None
    starting: anyio.Lock = attrs.field(factory=anyio.Lock)
    closed: anyio.Event = attrs.field(factory=anyio.Event)

    def status(self) -> ProviderStatus:
        state: Literal["starting", "running", "closing"] = "starting" if self.provider is None else "running"
        return ProviderStatus(
            name=self.spec.name, state=state if self.users else "closing", users=self.users, since=self.since
        )


@attrs.frozen
class ProviderPool:
    """The providers in use, counted by use."""

    services: ServiceFactory = attrs.field(factory=ServiceFactory)
    tell: Tell = lambda *_: None
    """Hears when a provider has started, ended or failed to start."""
    _entries: list[_Entry] = attrs.field(factory=list, init=False)

    async def acquire(self, spec: ProviderSpec, settings: Any) -> MarketDataProvider:
        """Return the started provider of these settings, shared with all who ask for the same identity.

        Raises:
            SourceError: It cannot be made or does not start; the next one who asks tries again.
        """
        while (entry := self._find(spec, settings)) is not None and not entry.users:
            await entry.closed.wait()  # a vendor may not want two connections at once
        if entry is None:
            entry = _Entry(spec, identity(spec, settings))
            self._entries.append(entry)
        entry.users += 1
        try:
            async with entry.starting:
                if entry.provider is None:
                    entry.provider = await self._start(spec, settings)
                    entry.since = self.services.clock.time_ns()
                    self.tell("provider", spec.name, "started", "")
                return entry.provider
        except BaseException as error:
            if isinstance(error, Exception):
                self.tell("provider", spec.name, "failed", str(error))
            await self._leave(entry)
            raise

    async def release(self, spec: ProviderSpec, settings: Any) -> None:
        """Give back what `acquire` returned; the last one out closes the provider."""
        if (entry := self._find(spec, settings)) is not None:
            await self._leave(entry)

    def status(self) -> tuple[ProviderStatus, ...]:
        """Return how the providers in use are, sorted by name."""
        return tuple(sorted((entry.status() for entry in self._entries), key=lambda status: status.name))

    def _find(self, spec: ProviderSpec, settings: Any) -> _Entry | None:
        wanted = identity(spec, settings)
        return next((one for one in self._entries if one.spec == spec and one.identity == wanted), None)

    async def _start(self, spec: ProviderSpec, settings: Any) -> MarketDataProvider:
        factory = spec.resolve_factory()
        with working_for(""):  # what it does by itself is for all who use it, not for the first of them
            with contract_errors(spec.name):
                provider: MarketDataProvider = factory(settings, self.services.of_spec(spec, settings))
            try:
                await bounded_start(spec.name, provider)
            except BaseException:
                await bounded_close(spec.name, provider)
                raise
        return provider

    async def _leave(self, entry: _Entry) -> None:
        entry.users -= 1
        if entry.users:
            return
        try:
            if entry.provider is not None:
                await bounded_close(entry.spec.name, entry.provider)
        finally:
            if entry.provider is not None:
                self.tell("provider", entry.spec.name, "ended", "")
            self._entries.remove(entry)
            entry.closed.set()


def identity(spec: ProviderSpec, settings: Any) -> dict[str, Any]:
    """Return the settings that make two uses of a provider the same one; all of them unless the spec names some."""
    values = dict(iter(settings)) if settings is not None else {}  # a field may be named `keys`
    return values if spec.identity is None else {name: values.get(name) for name in spec.identity}
