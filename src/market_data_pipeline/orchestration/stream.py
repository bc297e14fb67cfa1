"""A stream that an application reads: a source that runs in the runtime's own task, and a handle on it."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio
import anyio.lowlevel

from market_data_pipeline.channel import Channel, Policy
from market_data_pipeline.contracts import Clock, TickSource
from market_data_pipeline.model import Batch, Row
from market_data_pipeline.pipeline.intake import Intake
from market_data_pipeline.pipeline.ledger import Ledger
from market_data_pipeline.source.guard import CLOSE_TIMEOUT

R = TypeVar("R", bound=Row)


class TickStream(Generic[R]):
    """One consumer's rows: `async with runtime.stream_quotes(…) as quotes: async for quote in quotes: …`.

    Leaving the `async with` closes the source before it returns. A bare `async for` closes it too, soon after it was
    left, by whatever way. The iteration yields to other tasks each time that it runs out of rows.
    """

    def __init__(self, source: TickSource, row_type: type[R], *, policy: Policy, clock: Clock) -> None:
        self.ledger = Ledger()
        """What came in, and what this consumer was too slow for."""
        self._intake = Intake(source, None)
        self._row_type = row_type
        self._policy = policy
        self._clock = clock
        self._channel = Channel(self._intake.name, clock, policy=policy)
        self._rows: deque[R] = deque()
        self._opened = anyio.Event()
        self._closed = anyio.Event()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Run the source until it ends or the handle is closed; the runtime's task does this."""
        try:
            try:
                await self._intake.open()
            except Exception as error:  # noqa: BLE001 - raised where the rows come out
                self._channel.close(error)
                return
            self._opened.set()
            await self._intake.run(self._channel, self.ledger)
        finally:
            self._channel.close()
            await self._intake.close()
            self._closed.set()

    def stop(self) -> None:
        """Take nothing more from the source; from any thread. Idempotent."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._intake.stop)

    async def aclose(self) -> None:
        """Close the source and wait until it is closed. Idempotent."""
        self._intake.stop()
        with anyio.move_on_after(2 * CLOSE_TIMEOUT, shield=True):
            await self._closed.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> _Rows[R]:
        return _Rows(self)

    async def next(self) -> R:
        """Return the next row.

        Raises:
            StopAsyncIteration: The source ended.
            SourceError: The source failed; the rows before that came out first.
        """
        while not self._rows:
            items = await self._channel.receive_many()
            if not items:
                if self._intake.error is not None:
                    raise self._intake.error
                raise StopAsyncIteration
            for item in items:
                if isinstance(item, Batch):
                    self._rows.extend(row for row in item.rows if isinstance(row, self._row_type))
            await anyio.lowlevel.checkpoint()
        return self._rows.popleft()


class _Rows(Generic[R]):
    """The iterator of one `async for`: when it is dropped, the source is closed."""

    def __init__(self, stream: TickStream[R]) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        return await self._stream.next()

    def __del__(self) -> None:
        self._stream.stop()
