"""The base class of sources in earlier programs: it yields one row at a time.

A new source needs no base class: see `market_data_pipeline.contracts.RowSource`, and `TickSource` there for batches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence

from market_data_pipeline.contracts import Capabilities, SourceStatus
from market_data_pipeline.model import Row

__all__ = ["SourceStatus", "TickSource"]


class TickSource(ABC):
    """A source to subclass: `stream` is all that it has to have.

    Attributes:
        symbols: What it was asked for.
        capabilities: What it can do. None: its end is its end, and it waits without loss while nobody reads.
    """

    symbols: Sequence[str] = ()
    capabilities: Capabilities | None = None
    _connected: bool = False

    @abstractmethod
    def stream(self) -> AsyncGenerator[Row, None]:
        """Yield rows until the end."""

    async def start(self) -> None:
        """Connect; called once, before `stream`."""
        self._connected = True

    async def status(self) -> SourceStatus:
        """Return whether it is between `start` and `close`."""
        return SourceStatus(self._connected)

    async def health(self) -> SourceStatus:
        """Return the status."""
        return await self.status()

    async def close(self) -> None:
        """Give back all it holds. Idempotent."""
        self._connected = False
