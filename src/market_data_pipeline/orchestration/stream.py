"""A stream that an application reads: a handle on a source that runs in the runtime's own task."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, cast

import anyio
import anyio.lowlevel
import attrs

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Batch, Kind, Row, StreamItem
from market_data_pipeline.orchestration.feed import Feed
from market_data_pipeline.pipeline.ledger import Ledger

R = TypeVar("R", bound=Row)
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class StreamStatus:
    """A look at one stream; taking it changes nothing."""

    provider: str
    kind: Kind
    symbols: tuple[str, ...]
    state: Literal["open", "ended", "failed"]
    ledger: Ledger
    error: str = ""
    """Why it failed."""


class TickStream(Generic[R]):
    """One consumer's rows: `async with runtime.stream_quotes(…) as quotes: async for quote in quotes: …`.

    Leaving the `async with` closes the source before it returns. A bare `async for` closes it too, soon after it was
    left, by whatever way, and so does dropping this handle. The iteration yields to other tasks each time that it runs
    out of rows.
    """

    def __init__(self, feed: Feed, row_type: type[R]) -> None:
        self._feed = feed
        self.row_type: type[R] = row_type
        self._items: deque[StreamItem] = deque()
        self._rows: deque[R] = deque()
        self._batch: Batch[R] | None = None
        self._fetched = 0
        self._waiting = 0
        self._changing = anyio.Lock()

    # --- reading ------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[R]:
        return _Iterator(self, self.next, self._rows)

    async def next(self) -> R:
        """Return the next row.

        Raises:
            StopAsyncIteration: The source ended.
            SourceError: The source failed; the rows before that came out first.
        """
        while not self._rows:
            item = await self._next_item()
            if isinstance(item, Batch) and item.row_type is self.row_type:
                self._batch = cast("Batch[R]", item)
                self._rows.extend(self._batch.rows)
        return self._rows.popleft()

    def items(self) -> AsyncIterator[StreamItem]:
        """Return an iterator over batches and control events, as they came; it closes like that over rows."""
        return _Iterator(self, self._next_or_rest, deque())

    async def _next_or_rest(self) -> StreamItem:
        if self._rows and self._batch is not None:  # a batch of which some rows were read one by one
            rest = self._batch[len(self._batch) - len(self._rows) :]
            self._rows.clear()
            return cast("StreamItem", rest)
        return await self._next_item()

    async def _next_item(self) -> StreamItem:
        if not self._items:
            items = await self._feed.channel.receive_many()
            if not items:
                raise self._feed.error or StopAsyncIteration
            self._items.extend(items)
            rows = sum(len(item) for item in items if isinstance(item, Batch))
            self._fetched += rows
            self._waiting += rows
            await anyio.lowlevel.checkpoint()
        item = self._items.popleft()
        if isinstance(item, Batch):
            self._waiting -= len(item)
        return item

    # --- symbols ------------------------------------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        """What it asks its source for now."""
        return tuple(self._feed.intake.symbols)

    async def add(self, symbols: Iterable[str]) -> None:
        """Ask for more symbols; those that it has already change nothing.

        Raises:
            CapabilityNotSupported: The symbols of this source are fixed: open another stream.
            SourceError: The source cannot serve them, or is closed; nothing has changed.
            ConfigurationError: A text in place of a list of symbols.
        """
        more = symbol_list(symbols)
        async with self._changing:
            await self._change(tuple(dict.fromkeys((*self.symbols, *more))))

    async def remove(self, symbols: Iterable[str]) -> None:
        """Ask for these symbols no more; rows of them that are here already still come.

        Raises:
            CapabilityNotSupported: The symbols of this source are fixed: open another stream.
            SourceError: The source is closed; nothing has changed.
            ConfigurationError: One is not among its symbols, or none would be left.
        """
        less = symbol_list(symbols)
        async with self._changing:
            if strange := [symbol for symbol in less if symbol not in self.symbols]:
                raise ConfigurationError(f"{', '.join(strange)} is not among the symbols: {', '.join(self.symbols)}")
            await self._change(tuple(symbol for symbol in self.symbols if symbol not in less))

    async def _change(self, symbols: tuple[str, ...]) -> None:
        if not symbols:
            raise ConfigurationError("a stream has at least one symbol: close it instead")
        if symbols != self.symbols:
            await self._feed.set_symbols(symbols)

    # --- state --------------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """What came in, what this consumer took, and what it was too slow for."""
        held = len(self._rows) + self._waiting
        return Ledger(
            received=self._feed.received,
            accepted=self._fetched - held,
            queued=self._feed.channel.rows + held,
            dropped=self._feed.dropped,
        )

    @property
    def status(self) -> StreamStatus:
        """How it is now."""
        feed = self._feed
        state: Literal["open", "ended", "failed"] = "open"
        if feed.ended:
            state = "ended" if feed.error is None else "failed"
        return StreamStatus(
            provider=feed.intake.name,
            kind=self.row_type.kind,
            symbols=self.symbols,
            state=state,
            ledger=self.ledger,
            error="" if feed.error is None else str(feed.error),
        )

    # --- end ----------------------------------------------------------------------------------------------------

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

    def __del__(self) -> None:
        self.stop()


class _Iterator(Generic[T]):
    """The iterator of one `async for`: when it is dropped, the source is closed."""

    def __init__(self, stream: TickStream[Any], advance: Callable[[], Coroutine[Any, Any, T]], ready: deque[T]) -> None:
        self._stream = stream
        self._advance = advance
        self._ready = ready

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._ready:
            return self._ready.popleft()  # one coroutine a row, not two
        return await self._advance()

    def __del__(self) -> None:
        self._stream.stop()


def symbol_list(symbols: Iterable[str]) -> tuple[str, ...]:
    """Return symbols as a tuple, each once.

    Raises:
        ConfigurationError: It is one text, or holds something else than texts.
    """
    if isinstance(symbols, str) or not isinstance(symbols, Iterable):
        raise ConfigurationError(f"symbols is a list of symbols, such as [{symbols!r:.60}]")
    names = tuple(symbols)
    if strange := [name for name in names if not isinstance(name, str)]:
        raise ConfigurationError(f"a symbol is a text, not {strange[0]!r:.60}", where="symbols")
    return tuple(dict.fromkeys(names))
