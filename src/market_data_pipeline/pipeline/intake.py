"""The first task of a pipeline: it takes from the source and fills the channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio

from market_data_pipeline.channel import Channel
from market_data_pipeline.contracts import Capabilities, RowSource, TickSource
from market_data_pipeline.errors import ConnectionLost, MarketDataError
from market_data_pipeline.model import Batch, StreamItem
from market_data_pipeline.pipeline.ledger import Ledger
from market_data_pipeline.source.guard import bounded_close, bounded_start, contract_errors
from market_data_pipeline.source.pump import RowPump

FINITE = Capabilities(pausable=True)
"""What a source without capabilities counts as: its end is its end, and it can wait."""


class Intake:
    """Runs one source into a channel until it ends, has given `count` rows, is stopped or fails."""

    def __init__(self, source: TickSource | RowSource, count: int | None) -> None:
        self.name = str(getattr(source, "name", type(source).__name__))
        self.ended = False
        """The source came to its own end."""
        self.error: MarketDataError | None = None
        """What the source raised."""
        self.dropped: Counter[str] = Counter()
        """Rows that the source gave and the channel never saw."""
        self._source = source
        self._left = count
        self._scope: anyio.CancelScope | None = None
        self._stopped = False

    @property
    def capabilities(self) -> Capabilities:
        """What the source declares."""
        declared = getattr(self._source, "capabilities", None)
        return declared if isinstance(declared, Capabilities) else FINITE

    async def open(self) -> None:
        """Start the source.

        Raises:
            SourceError: It does not start.
        """
        start: Callable[[], Awaitable[None]] | None = getattr(self._source, "start", None)
        if start is not None:
            await bounded_start(self.name, start)

    async def close(self) -> None:
        """Close the source, whatever happens, within its time."""
        await bounded_close(self.name, self._source.close)

    def stop(self) -> None:
        """Take nothing more from the source."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    async def progress(self) -> float | None:
        """Return which part of the source is behind us, from 0 to 1, where it can tell."""
        status: Callable[[], Awaitable[Any]] | None = getattr(self._source, "status", None)
        return None if status is None else getattr(await status(), "progress", None)

    async def run(self, channel: Channel, ledger: Ledger) -> None:
        """Move items from the source to the channel, and close the channel behind the last one."""
        self._scope = anyio.CancelScope()
        if self._stopped:
            self._scope.cancel()
        try:
            with self._scope, contract_errors(self.name):
                source: TickSource | RowSource = getattr(self._source, "row_source", None) or self._source
                if isinstance(source, TickSource):
                    await self._move(source.batches(), channel, ledger)
                else:
                    pump = RowPump(source)
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(pump.fill)
                        await self._move(pump.batches(), channel, ledger)
                        tasks.cancel_scope.cancel()
                    if pump.error is not None:
                        raise pump.error
                if self.ended and self.capabilities.unbounded:
                    raise ConnectionLost(
                        f"the live stream of {self.name} ended: check the connection", source=self.name
                    )
        except MarketDataError as error:
            self.ended = False
            self.error = error
        finally:
            channel.close()

    async def _move(self, items: AsyncGenerator[StreamItem, None], channel: Channel, ledger: Ledger) -> None:
        async with aclosing(items):
            async for item in items:
                if isinstance(item, Batch):
                    batch = item
                    if self._left is not None:
                        batch = batch if len(batch) <= self._left else batch[: self._left]
                        self._left -= len(batch)
                    try:
                        await channel.send(batch)
                    except BaseException:
                        self.dropped["stop"] += len(batch)
                        raise
                    finally:
                        ledger.received += len(batch)
                    if self._left == 0:
                        return
                else:
                    await channel.send(item)
        self.ended = True
