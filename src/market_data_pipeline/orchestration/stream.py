"""A stream that an application reads: a handle on what runs in the runtime's own task."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Row, StreamItem
from market_data_pipeline.orchestration.feed import Feed, StreamStatus
from market_data_pipeline.pipeline.ledger import Ledger

R = TypeVar("R", bound=Row)
T = TypeVar("T")


class TickStream(Generic[R]):
    """One consumer's rows: `async with runtime.stream_quotes(…) as quotes: async for quote in quotes: …`.

    Leaving the `async with` closes the source before it returns. A bare `async for` closes it too, soon after it was
    left, by whatever way, and so does dropping this handle. The iteration yields to other tasks each time that it runs
    out of rows. One task reads a stream.
    """

    def __init__(self, feed: Feed[R]) -> None:
        self._feed = feed

    @property
    def symbols(self) -> tuple[str, ...]:
        """What the source serves; none: all that it has."""
        return self._feed.symbols

    @property
    def status(self) -> StreamStatus:
        """How it is now."""
        return self._feed.look()

    @property
    def ledger(self) -> Ledger:
        """What came in, what this consumer took, and what it was too slow for."""
        return self._feed.ledger

    async def add(self, symbols: Sequence[str]) -> None:
        """Ask for these symbols too; those that it has already change nothing.

        Raises:
            CapabilityNotSupported: The source cannot change its symbols: open another stream.
            SourceClosed: The stream has ended.
            ConfigurationError: It has all symbols of its source already.
            SourceError: The source refuses; the symbols are as they were.
        """
        await self._feed.add(checked_symbols(symbols))

    async def remove(self, symbols: Sequence[str]) -> None:
        """Ask for these symbols no longer; rows that came before may still be read.

        Raises:
            CapabilityNotSupported: The source cannot change its symbols.
            SourceClosed: The stream has ended.
            ConfigurationError: The stream has no such symbol, or would have none.
            SourceError: The source refuses; the symbols are as they were.
        """
        await self._feed.remove(checked_symbols(symbols))

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
        return _Iteration(self, self.next)

    def items(self) -> AsyncIterator[StreamItem]:
        """Return an iterator over batches, as they came, and control events, in order.

        A `Gap` says where rows are missing, also those that this reader was too slow for.
        """
        return _Iteration(self, self._next_item)

    async def next(self) -> R:
        """Return the next row.

        Raises:
            StopAsyncIteration: The source ended.
            SourceError: The source failed; the rows before that came out first.
        """
        row = await self._feed.reader.next_row()
        if row is None:
            raise self._feed.error or StopAsyncIteration
        return row

    async def _next_item(self) -> StreamItem:
        item = await self._feed.reader.next_item()
        if item is None:
            raise self._feed.error or StopAsyncIteration
        return item

    def __del__(self) -> None:
        if hasattr(self, "_feed"):
            self.stop()


class _Iteration(Generic[T]):
    """The iterator of one `async for`: when it is dropped, the source is closed."""

    def __init__(self, stream: TickStream[Any], fetch: Callable[[], Awaitable[T]]) -> None:
        self._stream = stream
        self._fetch = fetch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        return await self._fetch()

    def __del__(self) -> None:
        self._stream.stop()


def checked_symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    """Return symbols once each, in order.

    Raises:
        ConfigurationError: A text instead of a list, or something that is no symbol in it.
    """
    if isinstance(symbols, str):
        raise ConfigurationError(f"symbols is a list of symbols, such as [{symbols!r}]")
    unique = tuple(dict.fromkeys(symbols))
    if wrong := [symbol for symbol in unique if not isinstance(symbol, str) or not symbol]:
        raise ConfigurationError(f"{wrong[0]!r} is no symbol: symbols are texts that are not empty")
    return unique
