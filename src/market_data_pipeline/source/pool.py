"""Shared providers: one per name and identity, started by the first user and closed after the last."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import anyio
import attrs

from market_data_pipeline.contracts import MarketDataProvider
from market_data_pipeline.plugins import ProviderSpec
from market_data_pipeline.source.guard import bounded_close, bounded_start, contract_errors
from market_data_pipeline.source.services import ServiceFactory


@attrs.define
class _Entry:
    lock: anyio.Lock = attrs.field(factory=anyio.Lock)
    provider: MarketDataProvider | None = None
    users: int = 0


@attrs.frozen
class ProviderPool:
    """The providers in use, counted by use."""

    services: ServiceFactory = attrs.field(factory=ServiceFactory)
    _entries: dict[Hashable, _Entry] = attrs.field(factory=dict)

    async def acquire(self, spec: ProviderSpec, settings: Any) -> MarketDataProvider:
        """Return the started provider of these settings, shared with all who ask for the same identity.

        Raises:
            SourceError: It cannot be made or does not start.
        """
        entry = self._entries.setdefault(identity(spec, settings), _Entry())
        entry.users += 1
        try:
            async with entry.lock:
                if entry.provider is None:
                    with contract_errors(spec.name):
                        provider = spec.resolve_factory()(settings, self.services.of(spec.name))
                    try:
                        await bounded_start(spec.name, provider.start)
                    except BaseException:
                        await bounded_close(spec.name, provider.close)
                        raise
                    entry.provider = provider
                return entry.provider
        except BaseException:
            await self._leave(spec, settings)
            raise

    async def release(self, spec: ProviderSpec, settings: Any) -> None:
        """Give back what `acquire` returned; the last one out closes the provider."""
        await self._leave(spec, settings)

    async def _leave(self, spec: ProviderSpec, settings: Any) -> None:
        key = identity(spec, settings)
        entry = self._entries[key]
        entry.users -= 1
        if entry.users:
            return
        del self._entries[key]
        if entry.provider is not None:
            await bounded_close(spec.name, entry.provider.close)

    def names(self) -> list[str]:
        """Return the names of the providers in use."""
        return sorted({str(key[0]) for key in self._entries if isinstance(key, tuple)})


def identity(spec: ProviderSpec, settings: Any) -> tuple[Hashable, ...]:
    """Return what makes two uses of a provider the same: its name and its identity settings, or all of them."""
    values = settings.model_dump(mode="json") if settings is not None else {}
    names = sorted(values) if spec.identity is None else spec.identity
    return (spec.name, *((name, repr(values.get(name))) for name in names))
