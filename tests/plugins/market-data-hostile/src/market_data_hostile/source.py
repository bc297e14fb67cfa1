"""A source that behaves, and misbehaves in one way if it is told so."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import AsyncGenerator
from typing import Literal, TypeAlias

from market_data_hostile.capabilities import CAPABILITIES
from market_data_pipeline.contracts import Services, SourceStatus, StreamRequest
from market_data_pipeline.errors import CapabilityNotSupported, SourceBusy, SourceClosed
from market_data_pipeline.model import Origin, Quote, QuoteBatch, StreamItem

Fault: TypeAlias = Literal[
    "leaks-task", "leaks-descriptor", "data-after-close", "time-back", "unasked-symbol", "nan", "minus-one",
    "undeclared-kind", "blocks-loop",
]  # fmt: skip
LEAKED: list[object] = []
"""What was leaked, for the test to give back."""


class HostileSource:
    """Quotes, a batch a turn of the loop."""

    capabilities = CAPABILITIES

    def __init__(self, request: StreamRequest, services: Services, fault: Fault | None = None) -> None:
        if request.kinds - CAPABILITIES.kinds and fault != "undeclared-kind":
            raise CapabilityNotSupported("hostile has quotes alone: ask for quote", source="hostile")
        self.symbols = request.symbols
        self._services = services
        self._fault = fault
        self._is_open = self._is_closed = False

    async def start(self) -> None:
        """Start what leaks."""
        if self._fault == "leaks-task":
            LEAKED.append(asyncio.create_task(asyncio.sleep(3600), name="hostile"))
        if self._fault == "leaks-descriptor":
            LEAKED.append(os.open(os.devnull, os.O_RDONLY))

    def batches(self) -> AsyncGenerator[StreamItem, None]:
        """Return the stream."""
        if self._is_closed:
            raise SourceClosed("hostile is closed: make another", source="hostile")
        if self._is_open:
            raise SourceBusy("hostile is iterated: make another", source="hostile")
        self._is_open = True
        return self._stream()

    async def _stream(self) -> AsyncGenerator[StreamItem, None]:
        origin = Origin("hostile", "hostile", self._services.epoch(), "synthetic")
        start, number = self._services.clock.time_ns(), 0
        while not self._is_closed or self._fault == "data-after-close":
            if self._fault == "blocks-loop" and not number:
                time.sleep(0.6)  # noqa: ASYNC251 (it misbehaves)
            for symbol in self.symbols:
                number += 1
                yield QuoteBatch([self._quote(symbol, start, number, origin)])
                if self._is_closed and self._fault != "data-after-close":
                    return
            await asyncio.sleep(0)

    def _quote(self, symbol: str, start: int, number: int, origin: Origin) -> Quote:
        at = start - number if self._fault == "time-back" else start + number
        bid_px = -1_000_000_000 if self._fault == "minus-one" else 1_000_000_000
        size = math.nan if self._fault == "nan" else 1.0
        name = "NOBODY" if self._fault == "unasked-symbol" else symbol
        return Quote(name, at, start + number, number, 0, origin, bid_px, 2_000_000_000, size, 1.0)

    async def status(self) -> SourceStatus:
        """Say whether it is open."""
        return SourceStatus(self._is_open and not self._is_closed)

    async def close(self) -> None:
        """End the stream."""
        self._is_closed = True
