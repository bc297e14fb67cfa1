"""What makes one consumer's source out of an installed provider or source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from market_data_pipeline.contracts import Capabilities, RowSource, StreamRequest, TickSource
from market_data_pipeline.errors import SourceBug
from market_data_pipeline.plugins import ProviderSpec, SourceSpec
from market_data_pipeline.source.guard import bounded_close, bounded_start, contract_errors
from market_data_pipeline.source.pool import ProviderPool


class PluginSource:
    """A source by the name of its plugin: made and started by `open`, given back by `close`.

    Attributes:
        name: The name of the provider or source.
        capabilities: What the plugin declares.
        symbols: What was asked for.
    """

    def __init__(
        self, spec: ProviderSpec | SourceSpec, settings: Any, request: StreamRequest, pool: ProviderPool
    ) -> None:
        self.name: str = spec.name
        self.capabilities: Capabilities = spec.capabilities
        self.symbols: Sequence[str] = request.symbols
        self._spec = spec
        self._settings = settings
        self._request = request
        self._pool = pool
        self._source: TickSource | RowSource | None = None
        self._held: ProviderSpec | None = None

    async def open(self) -> TickSource | RowSource:
        """Make the source, out of the shared provider where the plugin has one, and start it.

        Returns:
            The plugin's own source.

        Raises:
            SourceError: The provider or the source does not start.
            SourceBug: What the plugin made is no source.
        """
        spec = self._spec
        if isinstance(spec, ProviderSpec):
            provider = await self._pool.acquire(spec, self._settings)
            self._held = spec
            with contract_errors(self.name):
                source = provider.stream(self._request)
        else:
            factory = spec.resolve_factory()
            with contract_errors(self.name):
                source = factory(self._request, self._settings, self._pool.services.of_spec(spec, self._settings))
        if not (hasattr(source, "batches") or hasattr(source, "stream")):
            raise SourceBug(
                f"{self.name} gave a {type(source).__name__} for a source: that has batches(), or stream()",
                source=self.name,
            )
        self._source = source
        await bounded_start(self.name, source)
        return source

    async def close(self) -> None:
        """Close the source and give back the provider. Idempotent."""
        source, self._source = self._source, None
        held, self._held = self._held, None
        try:
            if source is not None:
                await bounded_close(self.name, source)
        finally:
            if held is not None:
                await self._pool.release(held, self._settings)
