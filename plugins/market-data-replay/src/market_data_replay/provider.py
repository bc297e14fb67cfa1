"""The provider: what the core makes one of, and asks for streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from weakref import WeakSet

from market_data_pipeline.contracts import BarsRequest, MarketDataProvider, Services, StreamRequest
from market_data_pipeline.errors import CapabilityNotSupported, InvalidRequest, SourceClosed
from market_data_pipeline.model import StreamItem
from market_data_replay.capabilities import CAPABILITIES
from market_data_replay.history import History
from market_data_replay.settings import ReplaySettings
from market_data_replay.source import ReplaySource


class ReplayProvider(MarketDataProvider):
    """Plays recorded files; every stream reads them on its own, from the beginning."""

    capabilities = CAPABILITIES

    def __init__(self, settings: ReplaySettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._sources: WeakSet[ReplaySource] = WeakSet()
        self._closed = False

    async def start(self) -> None:
        """Do nothing: each stream looks for its files when it starts."""

    def stream(self, request: StreamRequest) -> ReplaySource:
        """Return a replay of the files for one consumer.

        Raises:
            CapabilityNotSupported: A kind of rows that there is not.
            InvalidRequest: `after` is no position of a replay.
            SourceClosed: The provider is closed.
        """
        self._check_open()
        if unknown := request.kinds - CAPABILITIES.kinds:
            raise CapabilityNotSupported(
                f"replay has no {' or '.join(sorted(unknown))} rows: it has {', '.join(sorted(CAPABILITIES.kinds))}",
                source="replay",
            )
        if request.after is not None and not request.after.isdecimal():
            raise InvalidRequest(f"{request.after!r} is no position of a replay", source="replay")
        source = ReplaySource(request, self._settings, self._services)
        self._sources.add(source)
        return source

    async def get_historical_bars(self, request: BarsRequest) -> AsyncGenerator[StreamItem, None]:
        """Yield recorded bars of exactly the asked interval and basis as batches, ordered by start.

        Raises:
            InvalidRequest: The files have bars of other intervals or bases only, or no bars.
            SourceClosed: The provider is closed.
            UnknownSymbol: The files do not have the symbol.
        """
        self._check_open()
        async with aclosing(History(request).bars(self._settings, self._services)) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        """Close all its streams. Idempotent."""
        self._closed = True
        for source in list(self._sources):
            await source.close()

    def _check_open(self) -> None:
        if self._closed:
            raise SourceClosed("the replay provider is closed: make a new one", source="replay")
