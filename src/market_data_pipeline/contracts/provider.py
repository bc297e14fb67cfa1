"""The provider: what talks to one vendor, shared by all its sources."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from market_data_pipeline.contracts.capabilities import Capabilities
from market_data_pipeline.contracts.source import StreamRequest, TickSource


@runtime_checkable
class MarketDataProvider(Protocol):
    """One per identity in a runtime, shared and counted by use.

    It owns the connections and the desired state, which is the union of what its open sources ask for.
    """

    capabilities: Capabilities

    async def start(self) -> None:
        """Connect. Called once, before the first `stream()`.

        Raises:
            SourceError: The vendor cannot be reached, or refuses.
        """

    def stream(self, request: StreamRequest) -> TickSource:
        """Return a new view for one consumer.

        Raises:
            CapabilityNotSupported: The request asks for what is not declared.
        """
        ...

    async def close(self) -> None:
        """Disconnect. Idempotent; its sources end."""
