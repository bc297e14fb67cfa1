"""The provider: it has no connection, so that its sources share nothing but its settings and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from weakref import WeakSet

import anyio.lowlevel

from market_data_pipeline.contracts import (
    BarsRequest,
    Capabilities,
    ChainRequest,
    MarketDataProvider,
    Services,
    StreamRequest,
)
from market_data_pipeline.errors import CapabilityNotSupported, InvalidRequest, SourceClosed
from market_data_pipeline.model import BarBatch, Instrument, OptionQuote, StreamItem, concat
from market_data_synthetic.capabilities import CAPABILITIES
from market_data_synthetic.chain import quotes
from market_data_synthetic.failures import Failures
from market_data_synthetic.history import check, fold
from market_data_synthetic.instruments import check_known, resolve
from market_data_synthetic.settings import SyntheticSettings
from market_data_synthetic.source import SyntheticSource

MAX_BARS = 1_024
"""Bars of the past are given out when there are so many."""


class SyntheticProvider(MarketDataProvider):
    """Ticks of any symbol."""

    capabilities: Capabilities = CAPABILITIES

    def __init__(self, settings: SyntheticSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._sources: WeakSet[SyntheticSource] = WeakSet()
        self._failures = Failures(settings)
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
        self._check_open()
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
        source = SyntheticSource(request, self._settings, self._services, self._failures)
        self._sources.add(source)
        return source

    def get_historical_bars(self, request: BarsRequest) -> AsyncGenerator[StreamItem, None]:
        """Return the bars that the operator `bars` makes of the ticks of that time; their end may lie behind `end`.

        In real time from now on, no bar is given that has not ended yet.

        Raises:
            UnknownSymbol: The symbol is empty, too long, or has a space.
            InvalidRequest: The range is empty or too late, the interval below a second or above a year, or there are no
                trades.
            SourceClosed: The provider is closed.
        """
        self._check_open()
        check_known(request.symbol, self._settings)
        check(request, self._settings)
        return self._bars(request)

    async def get_options_chain(self, request: ChainRequest) -> Sequence[OptionQuote]:
        """Return the contracts at the start of a run that can be repeated, or as they are now.

        Raises:
            UnknownSymbol: The underlying is empty, too long, or has a space.
            InvalidRequest: An expiry is no date, or a range ends before it begins.
            SourceClosed: The provider is closed.
        """
        self._check_open()
        check_known(request.underlying, self._settings)
        async with self._services.call("chain", keys={"symbol": request.underlying}):
            await anyio.lowlevel.checkpoint()
            self._failures.count_request()
        now = self._services.clock.time_ns() if self._settings.first is None else self._settings.first
        return quotes(request, self._settings, now)

    async def resolve(self, symbol: str) -> Sequence[Instrument]:
        """Return the equity or, of a contract's symbol, the option; none of one that is empty, long or has a space."""
        async with self._services.call("resolve", keys={"symbol": symbol}):
            await anyio.lowlevel.checkpoint()
            self._failures.count_request()
        return resolve(symbol, self._settings)

    async def _bars(self, request: BarsRequest) -> AsyncGenerator[StreamItem, None]:
        async with self._services.call("history", keys={"symbol": request.symbol}):
            await anyio.lowlevel.checkpoint()
            self._failures.count_request()
        held: list[BarBatch] = []
        until = self._services.clock.time_ns() if self._settings.first is None else None
        for bars in fold(request, self._settings, until=until):
            held += bars
            await anyio.lowlevel.checkpoint()
            self._check_open()
            if sum(map(len, held)) >= MAX_BARS:
                yield concat(held)
                held.clear()
        if held:
            yield concat(held)

    def _check_open(self) -> None:
        if self._closed:
            raise SourceClosed("the synthetic provider is closed: make a new one", source="synthetic")

    async def close(self) -> None:
        """End all sources. Idempotent."""
        self._closed = True
        for source in list(self._sources):
            await source.close()
