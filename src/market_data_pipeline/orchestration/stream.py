"""A stream that an application reads: a source that runs in the runtime's own task, and a handle on it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

import anyio
import anyio.lowlevel

from market_data_pipeline.channel import Channel, Policy
from market_data_pipeline.contracts import Clock
from market_data_pipeline.model import Batch, Row
from market_data_pipeline.pipeline.intake import Intake, Source
from market_data_pipeline.pipeline.ledger import Ledger
from market_data_pipeline.source.guard import FOREIGN

R = TypeVar("R", bound=Row)


class Feed:
    """The end of a stream that the runtime holds: it runs the source.

    Attributes:
        intake: Takes from the source.
        channel: What the reader has not fetched yet.
        closed: Set when the source is closed.
        error: What the source raised; for the reader, behind the last row.
    """

    def __init__(self, source: Source, *, policy: Policy, clock: Clock) -> None:
        self.intake: Intake = Intake(source)
        self.channel: Channel = Channel(self.intake.name, clock, policy=policy)
        self.closed: anyio.Event = anyio.Event()
        self.error: BaseException | None = None
        self._scope = anyio.CancelScope()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Run the source until it ends or `stop` is called."""
        try:
            with self._scope:
                await self.intake.open()
                await self.intake.run(self.channel)
                self.error = self.intake.error
        except FOREIGN as error:
            self.error = error
        finally:
            self.channel.close()
            await self.intake.close()
            self.closed.set()

    def stop(self) -> None:
        """Close the source soon; from any thread. Idempotent."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._scope.cancel)


class TickStream(Generic[R]):
    """One consumer's rows: `async with runtime.stream_quotes(…) as quotes: async for quote in quotes: …`.

    Leaving the `async with` closes the source before it returns. A bare `async for` closes it too, soon after it was
    left, by whatever way, and so does dropping this handle. The iteration yields to other tasks each time that it runs
    out of rows.
    """

    def __init__(self, feed: Feed, row_type: type[R]) -> None:
        self._feed = feed
        self._row_type = row_type
        self._rows: deque[R] = deque()
        self._fetched = 0

    @property
    def ledger(self) -> Ledger:
        """What came in, what this consumer took, and what it was too slow for."""
        return Ledger(
            received=self._feed.intake.received,
            accepted=self._fetched - len(self._rows),
            queued=self._feed.channel.rows + len(self._rows),
            dropped=self._feed.channel.dropped + self._feed.intake.dropped,
        )

    def stop(self) -> None:
        """Close the source soon; from any thread. Idempotent."""
        self._feed.stop()

    async def aclose(self) -> None:
        """Close the source and wait until it is closed, which takes a few seconds at most. Idempotent."""
        self.stop()
        with anyio.CancelScope(shield=True):
            await self._feed.closed.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[R]:
        return _Rows(self, self._rows)

    async def next(self) -> R:
        """Return the next row.

        Raises:
            StopAsyncIteration: The source ended.
            SourceError: The source failed; the rows before that came out first.
        """
        while not self._rows:
            items = await self._feed.channel.receive_many()
            if not items:
                raise self._feed.error or StopAsyncIteration
            for item in items:
                if isinstance(item, Batch):
                    self._fetched += len(item)
                    if item.row_type is self._row_type:
                        self._rows.extend(cast("Sequence[R]", item.rows))
            await anyio.lowlevel.checkpoint()
        return self._rows.popleft()

    def __del__(self) -> None:
        self.stop()


class _Rows(Generic[R]):
    """The iterator of one `async for`: when it is dropped, the source is closed."""

    def __init__(self, stream: TickStream[R], rows: deque[R]) -> None:
        self._stream = stream
        self._rows = rows

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        if self._rows:
            return self._rows.popleft()  # one coroutine a row, not two
        return await self._stream.next()

    def __del__(self) -> None:
        self._stream.stop()
