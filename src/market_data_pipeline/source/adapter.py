"""What makes one consumer's source out of an installed provider or source."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from market_data_pipeline.contracts import Capabilities, RowSource, SourceStatus, StreamRequest, TickSource
from market_data_pipeline.errors import SourceClosed
from market_data_pipeline.model import StreamItem
from market_data_pipeline.plugins import ProviderSpec, SourceSpec
from market_data_pipeline.source.guard import bounded_close, bounded_start, contract_errors
from market_data_pipeline.source.pool import ProviderPool


class PluginSource:
    """A `TickSource` by the name of a plugin: made when it starts, given back when it closes."""

    def __init__(
        self, spec: ProviderSpec | SourceSpec, settings: Any, request: StreamRequest, pool: ProviderPool
    ) -> None:
        self.name = spec.name
        self.symbols: Sequence[str] = request.symbols
        self.capabilities: Capabilities = spec.capabilities
        self._spec = spec
        self._settings = settings
        self._request = request
        self._pool = pool
        self._source: TickSource | RowSource | None = None
        self._holds_provider = False

    async def start(self) -> None:
        """Make the source, out of the shared provider where the plugin has one, and start it.

        Raises:
            SourceError: The provider or the source does not start.
        """
        spec = self._spec
        make: Callable[[], TickSource | RowSource]
        if isinstance(spec, ProviderSpec):
            provider = await self._pool.acquire(spec, self._settings)
            self._holds_provider = True

            def make() -> TickSource:
                return provider.stream(self._request)

        else:

            def make() -> TickSource | RowSource:
                source: TickSource | RowSource = spec.resolve_factory()(
                    self._request, self._settings, self._pool.services.of(spec.name)
                )
                return source

        with contract_errors(self.name):
            self._source = make()
        start: Callable[[], Awaitable[None]] | None = getattr(self._source, "start", None)
        if start is not None:
            await bounded_start(self.name, start)
        self.capabilities = getattr(self._source, "capabilities", self.capabilities)

    @property
    def row_source(self) -> RowSource | None:
        """The plugin's source, started, where it is of the short form: it has `stream()` and no `batches()`."""
        return None if isinstance(self._source, TickSource) else self._source

    def batches(self) -> AsyncGenerator[StreamItem, None]:
        """Return the plugin's own stream.

        Raises:
            SourceClosed: It is not started, or closed.
        """
        if not isinstance(self._source, TickSource):
            raise SourceClosed(f"{self.name} is not open: call start() first", source=self.name)
        return self._source.batches()

    async def status(self) -> SourceStatus:
        """Say how the plugin's source is."""
        if isinstance(self._source, TickSource):
            return await self._source.status()
        return SourceStatus(connected=self._source is not None)

    async def close(self) -> None:
        """Close the source and give back the provider. Idempotent."""
        source, self._source = self._source, None
        if source is not None:
            await bounded_close(self.name, source.close)
        if self._holds_provider and isinstance(self._spec, ProviderSpec):
            self._holds_provider = False
            await self._pool.release(self._spec, self._settings)
