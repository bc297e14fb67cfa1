"""The first task of a pipeline: it takes from the source and fills the channel."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from typing import Any

import anyio

from market_data_pipeline.channel import Channel
from market_data_pipeline.contracts import Capabilities, Dynamic, RowSource, TickSource
from market_data_pipeline.errors import (
    CapabilityNotSupported,
    ChannelClosed,
    ChannelFull,
    ConnectionLost,
    MarketDataError,
    SourceBug,
    SourceClosed,
    SourceTimeout,
)
from market_data_pipeline.model import Batch, ControlEvent, StreamItem
from market_data_pipeline.source import PluginSource
from market_data_pipeline.source.guard import (
    CLOSE_TIMEOUT,
    CONNECT_TIMEOUT,
    FOREIGN,
    STATUS_TIMEOUT,
    bounded_close,
    bounded_start,
    contract_errors,
    run_foreign,
)
from market_data_pipeline.source.pump import RowPump

Source = TickSource | RowSource | PluginSource

_log = logging.getLogger("market_data_pipeline.pipeline")

FINITE = Capabilities(pausable=True)
"""What a source without capabilities counts as: its end is its end, and it can wait."""


class Intake:
    """Runs one source into a channel until it ends, has given `count` rows, is stopped or fails.

    Attributes:
        name: The name of the source.
        received: Rows that the source gave.
        dropped: Rows that it gave and the channel never saw, by reason.
        ended: Whether the source came to its own end.
        error: What the source raised.
    """

    def __init__(self, source: Source, count: int | None = None) -> None:
        self.name: str = str(getattr(source, "name", type(source).__name__))
        self.received: int = 0
        self.dropped: Counter[str] = Counter()
        self.ended: bool = False
        self.error: MarketDataError | None = None
        self._given = source
        self._source: Any = source
        self._count = count
        self._scope: anyio.CancelScope | None = None
        self._sending = False
        self._stopped = False
        self._opened = anyio.Event()
        self._closed = False

    @property
    def capabilities(self) -> Capabilities:
        """What the source declares."""
        declared = getattr(self._source, "capabilities", None) or getattr(self._given, "capabilities", None)
        return declared if isinstance(declared, Capabilities) else FINITE

    async def open(self) -> None:
        """Start the source.

        Raises:
            SourceError: It does not start.
        """
        if isinstance(self._given, PluginSource):
            self._source = await self._given.open()
        else:
            await bounded_start(self.name, self._given)
        self._opened.set()

    @property
    def symbols(self) -> Sequence[str]:
        """What the source is asked for."""
        symbols: Sequence[str] = self._source.symbols
        return symbols

    async def set_symbols(self, symbols: Sequence[str]) -> None:
        """Have the source serve these symbols from now on, as soon as it has started.

        Raises:
            CapabilityNotSupported: Its symbols are fixed.
            SourceClosed: It is closed.
            SourceTimeout: It did not answer within 30 s.
            SourceError: It cannot serve them.
        """
        await self._opened.wait()
        source = self._source
        if self._closed:
            raise SourceClosed(f"{self.name} is closed: open another stream", source=self.name)
        if not isinstance(source, Dynamic):
            raise CapabilityNotSupported(
                f"the symbols of {self.name} are fixed once it runs: open another stream for others", source=self.name
            )

        async def change() -> None:
            with contract_errors(self.name):
                await source.set_symbols(symbols)

        try:
            await run_foreign(self.name, change, limit=CONNECT_TIMEOUT)
        except TimeoutError:
            raise SourceTimeout(
                f"{self.name} did not change its symbols within {CONNECT_TIMEOUT:g} s", source=self.name
            ) from None

    async def close(self) -> None:
        """Close the source, whatever happens, within its time."""
        self._closed = True
        self._opened.set()
        if isinstance(self._given, PluginSource):
            await self._given.close()
        else:
            await bounded_close(self.name, self._given)

    def stop(self) -> None:
        """Take nothing more from the source; what it gave still goes into the channel."""
        self._stopped = True
        if not self._sending:
            self._interrupt()

    async def progress(self) -> float | None:
        """Return which part of the source is behind us, from 0 to 1, where it can tell."""
        status: Callable[[], Coroutine[Any, Any, Any]] | None = getattr(self._source, "status", None)
        if status is None:
            return None
        try:
            return getattr(await run_foreign(self.name, status, limit=STATUS_TIMEOUT), "progress", None)
        except FOREIGN:
            return None

    async def run(self, channel: Channel) -> None:
        """Move items from the source to the channel, and close the channel behind the last one."""
        move = self._forward if hasattr(self._source, "batches") else self._pump
        try:
            await move(channel)
            self.ended = self.ended and not self._is_full
            if self.ended and self.capabilities.unbounded:
                raise ConnectionLost(f"the live stream of {self.name} ended: check the connection", source=self.name)
        except MarketDataError as error:
            self._fail(error)
        finally:
            channel.close()

    async def _forward(self, channel: Channel) -> None:
        async def forward() -> None:
            async with aclosing(self._source.batches()) as items:
                async for item in items:
                    await self._send(item, channel)
                    if self._stopped or self._is_full:
                        self._interrupt(CLOSE_TIMEOUT)
                        return

        await self._iterate(forward)

    async def _pump(self, channel: Channel) -> None:
        pump = RowPump(self._source, self.name)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_rows, pump, channel)
            try:
                await self._iterate(pump.fill)
            except MarketDataError as error:
                self._fail(error)
            pump.end()

    async def _send_rows(self, pump: RowPump, channel: Channel) -> None:
        try:
            with contract_errors(self.name):
                while batches := await pump.take():
                    for batch in batches:
                        await self._send(batch, channel)
                        if self._is_full:
                            return
                    if self._stopped:
                        self._interrupt()
        except MarketDataError as error:
            self._fail(error)
        finally:
            self._interrupt()

    async def _iterate(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the source's generator in a task of its own until it ends or is interrupted."""

        async def foreign() -> None:
            with contract_errors(self.name), suppress(ChannelClosed):  # which meets one that was left behind
                await work()
                self.ended = not self._stopped

        with anyio.CancelScope() as self._scope:
            if not self._stopped:
                await run_foreign(self.name, foreign)

    def _interrupt(self, seconds: float = 0) -> None:
        """Cancel the task of the source's generator, in a while."""
        if self._scope is not None:
            self._scope.deadline = anyio.current_time() + seconds

    async def _send(self, item: StreamItem, channel: Channel) -> None:
        if isinstance(item, Batch):
            if self._count is not None and len(item) > self._count - self.received:
                item = item[: self._count - self.received]
            rows = len(item)
        elif isinstance(item, ControlEvent):
            rows = 0
        else:
            raise SourceBug(
                f"{self.name} gave a {type(item).__name__}: batches() yields batches and control events, stream() rows",
                source=self.name,
            )
        self._sending = True
        try:
            await channel.send(item)
        except BaseException as error:
            self.dropped["fail" if isinstance(error, ChannelFull) else "stop"] += rows
            raise
        finally:
            self._sending = False
            self.received += rows

    @property
    def _is_full(self) -> bool:
        return self.received == self._count

    def _fail(self, error: MarketDataError) -> None:
        self.ended = False
        if self._stopped:
            _log.warning("%s failed while it was being stopped: %s", self.name, error)
        else:
            self.error = self.error or error
