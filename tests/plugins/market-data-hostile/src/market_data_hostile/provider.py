"""A provider that keeps the contract, but for the one misdeed of its settings."""

import asyncio
import math
import os
import time
from pathlib import Path

from market_data_hostile.plugin import CAPABILITIES
from market_data_pipeline.contracts import MarketDataProvider, SourceStatus
from market_data_pipeline.errors import CapabilityNotSupported, SourceBusy, SourceClosed
from market_data_pipeline.model import SCALE, Origin, Quote, QuoteBatch

PERIOD_NS = 10_000_000
EVERY = 100
"""So many batches come before one is wrong."""
LEAKED = []


class HostileProvider(MarketDataProvider):
    capabilities = CAPABILITIES

    def __init__(self, settings, services):
        self._settings = settings
        self._services = services

    def __repr__(self):
        if self._settings.misdeed == "secrets-in-repr":
            return f"<HostileProvider {self._settings.token.get_secret_value()}>"
        return "<HostileProvider>"

    async def start(self):
        """Nobody is there to connect to."""

    def stream(self, request):
        if request.kinds != {"quote"} and self._settings.misdeed != "undeclared-capabilities":
            raise CapabilityNotSupported(f"hostile streams quotes, not {sorted(request.kinds)}", source="hostile")
        return HostileSource(request, self._settings.misdeed, self._services)

    def get_historical_bars(self, request):
        if self._settings.misdeed == "undeclared-capabilities":
            return _nothing()
        return super().get_historical_bars(request)

    async def get_options_chain(self, request):
        if self._settings.misdeed == "undeclared-capabilities":
            return []
        return await super().get_options_chain(request)


async def _nothing():
    return
    yield


class HostileSource:
    capabilities = CAPABILITIES

    def __init__(self, request, misdeed, services):
        self.symbols = request.symbols
        self._misdeed = misdeed
        self._services = services
        self._state = "new"
        self._ordinal = 0

    async def start(self):
        if self._misdeed == "leaks-a-task":
            LEAKED.append(asyncio.create_task(asyncio.sleep(3600), name="hostile task"))
        elif self._misdeed == "leaks-a-descriptor":
            LEAKED.append(os.open(Path("/dev/null"), os.O_RDONLY))

    def batches(self):
        if self._state == "closed":
            raise SourceClosed("the source is closed: ask for another", source="hostile")
        if self._state == "open":
            raise SourceBusy("the source is iterated already: ask for another", source="hostile")
        self._state = "open"
        return self._stream()

    async def _stream(self):
        clock = self._services.clock
        self._origin = Origin("hostile", "hostile", self._services.epoch(), "live")
        number = 0
        while self._state == "open":
            number += 1
            await clock.sleep_until(clock.monotonic_ns() + PERIOD_NS)
            if self._state == "open":
                yield self._batch(is_wrong=number % EVERY == 0)
        if self._misdeed == "data-after-close":
            yield self._batch(is_wrong=False)

    def _batch(self, *, is_wrong):
        misdeed = self._misdeed if is_wrong else "none"
        now = self._services.clock.time_ns()
        symbols = ("GOOG",) if misdeed == "strange-symbols" else self.symbols
        ts = now - 1_000_000_000 if misdeed == "time-goes-back" else now
        bid, ask, size = SCALE, 2 * SCALE, 100.0
        if misdeed == "sentinels":
            bid, ask, size = -SCALE, -SCALE, math.nan
        elif misdeed == "blocks-the-loop":
            time.sleep(0.4)
        self._ordinal += len(symbols)
        return QuoteBatch(
            Quote(symbol, ts, now, self._ordinal + place, 0, self._origin, bid, ask, size, size)
            for place, symbol in enumerate(symbols)
        )

    async def status(self):
        return SourceStatus(self._state == "open")

    async def close(self):
        self._state = "closed"
