"""The provider of every entry point."""

from __future__ import annotations

from pydantic import BaseModel

from market_data_hostile.capabilities import CAPABILITIES
from market_data_hostile.source import HostileSource
from market_data_pipeline.contracts import MarketDataProvider, Services, StreamRequest


class HostileProvider(MarketDataProvider):
    """It makes sources that behave."""

    capabilities = CAPABILITIES

    def __init__(self, settings: BaseModel, services: Services) -> None:
        self._services = services

    async def start(self) -> None:
        """Do nothing."""

    def stream(self, request: StreamRequest) -> HostileSource:
        """Return a source that behaves."""
        return HostileSource(request, self._services)
