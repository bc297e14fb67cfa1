"""The provider: it has no connection, so that its sources share nothing but its settings and its end."""

from __future__ import annotations

from weakref import WeakSet

from market_data_pipeline.contracts import Capabilities, MarketDataProvider, Services, StreamRequest
from market_data_pipeline.errors import CapabilityNotSupported, InvalidRequest, SourceClosed
from market_data_synthetic.capabilities import CAPABILITIES
from market_data_synthetic.settings import SyntheticSettings
from market_data_synthetic.source import SyntheticSource


class SyntheticProvider(MarketDataProvider):
    """Ticks of any symbol."""

    capabilities: Capabilities = CAPABILITIES

    def __init__(self, settings: SyntheticSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._sources: WeakSet[SyntheticSource] = WeakSet()
        self._closed = False

    async def start(self) -> None:
        """Do nothing: there is nobody to connect to."""

    def stream(self, request: StreamRequest) -> SyntheticSource:
        """Return a new view for one consumer.

        Raises:
            CapabilityNotSupported: It asks for something else than quotes and trades.
            InvalidRequest: It names no symbol, no kind or a position of another run, or there would never be a tick.
            SourceClosed: The provider is closed.
        """
        if self._closed:
            raise SourceClosed("the synthetic provider is closed: make a new one", source="synthetic")
        if strange := sorted(request.kinds - CAPABILITIES.kinds):
            raise CapabilityNotSupported(
                f"synthetic has no {' and no '.join(strange)}: ask for quote or trade; bars are made of them by the "
                "operator bars",
                source="synthetic",
            )
        if not request.symbols or not request.kinds:
            lacking = "kind: ask for quote, trade or both" if request.symbols else "symbol: name some, any will do"
            raise InvalidRequest(f"a request to synthetic needs at least one {lacking}", source="synthetic")
        if "quote" not in request.kinds and not self._settings.trades_per_quote:
            raise InvalidRequest(
                "only trades are wanted, and trades_per_quote is 0: raise it, or ask for quotes", source="synthetic"
            )
        source = SyntheticSource(request, self._settings, self._services)
        self._sources.add(source)
        return source

    async def close(self) -> None:
        """End all sources. Idempotent."""
        self._closed = True
        for source in list(self._sources):
            await source.close()
