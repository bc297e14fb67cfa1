"""The bounded channel of the data path: stream items from one or more senders to one receiver, in order.

It is bounded by rows and by bytes. An item that is larger than the bound is admitted when no row is queued. What
happens when it is full is its policy:

- `block`: `send` waits. Only for senders that can pause and are not shared.
- `drop_oldest`, `drop_newest`: whole batches go, the oldest queued ones or the one that is being sent.
- `conflate`: of the queued quotes only the latest of each symbol stays; if that is not enough, the oldest batches go.
- `fail`: `send` raises `ChannelFull`.

Nothing is dropped silently: rows are counted in `dropped`, and the receiver gets a `Gap` where they were lost. As long
as such a `Gap` is queued it also takes in what the same symbols lose later within 100 ms. Control events are never
dropped: they wait with `block`, and are admitted by the other policies whatever the bound.

Cancellation, native or by a scope, loses no item and is never swallowed, whatever else happens in the same turn of the
loop: an item enters the queue only in the running sender and leaves it only in the running receiver, with no await
between that and the return. So a `send` that is cancelled has not sent, and a `receive` that is cancelled took nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, Literal, get_args

import attrs

from market_data_pipeline.contracts import Clock
from market_data_pipeline.errors import ChannelClosed, ChannelFull, ConfigurationError, nearest
from market_data_pipeline.model import Batch, Diverted, Gap, QuoteBatch, Row, StreamItem

__all__ = ["Channel", "Policy"]

Policy = Literal["block", "drop_oldest", "drop_newest", "conflate", "fail"]

EVENT_BYTES: Final = 256
"""What a control event counts for, beside the batch in it."""

COALESCE_NS: Final = 100_000_000
"""Losses of the same symbols within this time are one `Gap`."""

MAX_GAPS: Final = 1_000
"""Gaps of its own that it queues: while the receiver stands still, later losses widen the last one."""


@attrs.define(eq=False)
class _Loss:
    """A `Gap` that may still grow."""

    key: frozenset[str]
    since: int
    ts: int
    symbols: frozenset[str]
    start: int
    end: int
    rows: int


class Channel:
    """A bounded, cancel-safe queue of stream items for one receiver.

    Attributes:
        rows: Rows queued.
        bytes: Bytes queued, roughly.
        dropped: Rows dropped so far, exactly, by policy.
    """

    def __init__(
        self,
        source: str,
        clock: Clock,
        *,
        max_rows: int = 100_000,
        max_bytes: int = 64 << 20,
        policy: Policy = "block",
    ) -> None:
        """Make an empty channel.

        Args:
            source: Whose stream it carries: the `source` of the gaps that it reports.
            clock: The time of its gaps.
            max_rows: Rows queued at most.
            max_bytes: Bytes queued at most, roughly.
            policy: What happens when it is full.

        Raises:
            ConfigurationError: There is no such policy.
        """
        if policy not in get_args(Policy):
            raise ConfigurationError(f"no policy {policy!r} for a full channel; {nearest(policy, get_args(Policy))}")
        self.rows: int = 0
        self.bytes: int = 0
        self.dropped: Counter[str] = Counter()
        self._source = source
        self._clock = clock
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._policy = policy
        self._passed: deque[StreamItem | _Loss] = deque()  # ahead of all batches: what the dropping went past
        self._queue: deque[StreamItem | _Loss] = deque()
        self._losses: dict[frozenset[str], _Loss] = {}  # the latest of each set of symbols, while queued
        self._last_loss: _Loss | None = None  # is queued if there are MAX_GAPS
        self._gaps = 0
        self._receiver: asyncio.Future[None] | None = None
        self._senders: deque[tuple[asyncio.Future[None], int, int]] = deque()
        self._closed = False
        self._error: BaseException | None = None

    async def send(self, item: StreamItem) -> None:
        """Send an item; with `block`, wait until earlier senders had their turn and there is room.

        Raises:
            ChannelClosed: The channel is closed. The item is not sent.
            ChannelFull: There is no room and the policy is `fail`. The item is not sent.
        """
        if not self._senders and self._put(item):
            return
        place = (asyncio.get_running_loop().create_future(), *_weigh(item))
        self._senders.append(place)
        try:
            await place[0]
            self._put(item)
        finally:
            self._senders.remove(place)
            self._wake_sender()

    def send_nowait(self, item: StreamItem) -> None:
        """Send an item without waiting, such as from a callback of the loop.

        Raises:
            ChannelClosed: The channel is closed. The item is not sent.
            ChannelFull: There is no room and the policy is `block` or `fail`. The item is not sent.
        """
        if (self._senders and not self._closed) or not self._put(item):
            raise self._full()

    async def receive_many(self) -> list[StreamItem]:
        """Wait for an item and take all that is queued: the fast way.

        Returns:
            The items, in order; none at the end of the stream, which comes when all is received after `close()`.

        Raises:
            RuntimeError: Another task is receiving.
            BaseException: What the channel was closed with, at the end of the stream.
        """
        if not await self._wait():
            return []
        items = [self._to_gap(item) if isinstance(item, _Loss) else item for item in (*self._passed, *self._queue)]
        self._passed.clear()
        self._queue.clear()
        self.rows = self.bytes = 0
        self._wake_sender()
        return items

    async def receive(self) -> StreamItem | None:
        """Wait for an item and take it.

        Returns:
            The item; None at the end of the stream, which comes when all is received after `close()`.

        Raises:
            RuntimeError: Another task is receiving.
            BaseException: What the channel was closed with, at the end of the stream.
        """
        if not await self._wait():
            return None
        item = (self._passed or self._queue).popleft()
        if isinstance(item, _Loss):
            return self._to_gap(item)
        self._count(item, -1)
        self._wake_sender()
        return item

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> StreamItem:
        if (item := await self.receive()) is None:
            raise StopAsyncIteration
        return item

    def close(self, error: BaseException | None = None) -> None:
        """Take no more items, from either end; senders that wait get `ChannelClosed`. Closing again changes nothing.

        Args:
            error: What the receiver gets when it has received all that is queued; none is the end of the stream.
        """
        if not self._closed:
            self._closed = True
            self._error = error
            self._wake_receiver()
            self._wake_sender()

    def _has_room(self, rows: int, size: int) -> bool:
        fits = self.rows + rows <= self._max_rows and self.bytes + size <= self._max_bytes
        return fits or not (self.rows if rows else self.bytes)

    def _put(self, item: StreamItem) -> bool:
        """Queue or drop an item, now.

        Returns:
            Whether that is done; if not, the item must wait.

        Raises:
            ChannelClosed: The channel is closed.
            ChannelFull: There is no room, and the policy is `fail`.
        """
        if self._closed:
            raise ChannelClosed(f"the channel of {self._source!r} is closed; make a new one to go on")
        rows, size = _weigh(item)
        full = not self._has_room(rows, size)
        if full:
            if self._policy == "block":
                return False
            if self._policy == "fail" and rows:
                raise self._full()
            if self._policy == "drop_newest" and isinstance(item, Batch):
                self._drop([item], self._queue)
                return True
        self._queue.append(item)
        self.rows += rows
        self.bytes += size
        if full and rows:
            if self._policy == "conflate":
                self._conflate()
            self._drop_oldest()
        self._wake_receiver()
        return True

    def _full(self) -> ChannelFull:
        return ChannelFull(
            f"the channel of {self._source!r} has no room: {self.rows} rows, {self.bytes} bytes, {len(self._senders)} "
            "senders wait; await send(), make its receiver faster, raise its bounds or let it drop"
        )

    def _drop_oldest(self) -> None:
        """Drop from the head until the bound is kept or one batch is left."""
        newest = next(len(item) for item in reversed(self._queue) if isinstance(item, Batch))
        while self.rows > newest and (self.rows > self._max_rows or self.bytes > self._max_bytes):
            item = self._queue.popleft()
            if isinstance(item, Batch):
                self._count(item, -1)
                self._drop([item], self._passed)
            else:
                self._passed.append(item)

    def _conflate(self) -> None:
        """Keep the latest quote of each symbol, in its place."""
        latest: set[str | None] = set()
        lost: list[Batch[Row]] = []
        kept: deque[StreamItem | _Loss] = deque()
        behind = 0  # so many are kept behind the first loss
        for item in reversed(self._queue):
            if not isinstance(item, QuoteBatch):
                kept.appendleft(item)
                continue
            symbols = _symbols(item)
            last = {symbol: index for index, symbol in enumerate(symbols) if symbol not in latest}
            latest.update(last)
            if len(last) == len(symbols):
                kept.appendleft(item)
                continue
            self._count(item, -1)
            lost.append(item.select(sorted(set(range(len(symbols))).difference(last.values()))))
            if last:
                stays = item.select(sorted(last.values()))
                self._count(stays, 1)
                kept.appendleft(stays)
            behind = len(kept)
        if lost:
            kept.rotate(behind)
            self._drop(lost, kept)
            kept.rotate(-behind)
        self._queue = kept

    def _drop(self, batches: Sequence[Batch[Row]], place: deque[StreamItem | _Loss]) -> None:
        """Count batches as dropped, and report them at the end of `place` or in a gap that is queued already."""
        rows = sum(map(len, batches))
        self.dropped[self._policy] += rows
        symbols = frozenset(symbol for batch in batches for symbol in _symbols(batch) if symbol)
        times = [time for batch in batches for time in _times(batch)]
        start, end, now = min(times), max(times) + 1, self._clock.monotonic_ns()
        loss = self._losses.get(symbols)
        if loss is None or now - loss.since >= COALESCE_NS:
            loss = self._last_loss if self._gaps >= MAX_GAPS else None
        if loss is None:
            loss = _Loss(symbols, now, self._clock.time_ns(), symbols, start, end, rows)
            self._losses[symbols] = self._last_loss = loss
            self._gaps += 1
            place.append(loss)
        else:
            loss.symbols |= symbols
            loss.start, loss.end, loss.rows = min(loss.start, start), max(loss.end, end), loss.rows + rows

    def _to_gap(self, loss: _Loss) -> Gap:
        """Return a loss that leaves the queue: it grows no more."""
        self._gaps -= 1
        if self._losses.get(loss.key) is loss:
            del self._losses[loss.key]
        return Gap(
            source=self._source,
            ts=loss.ts,
            symbols=loss.symbols,
            start=loss.start,
            end=loss.end,
            reason="drop",
            rows=loss.rows,
        )

    def _count(self, item: StreamItem, sign: Literal[1, -1]) -> None:
        rows, size = _weigh(item)
        self.rows += sign * rows
        self.bytes += sign * size

    async def _wait(self) -> bool:
        """Wait until something is queued.

        Returns:
            Whether that is so; if not, the stream is at its end.

        Raises:
            RuntimeError: Another task is receiving.
            BaseException: What the channel was closed with.
        """
        while not (self._queue or self._passed):
            if self._closed:
                if self._error is not None:
                    raise self._error
                return False
            if self._receiver is not None and not self._receiver.done():
                raise RuntimeError(f"two tasks receive from the channel of {self._source!r}; it has one receiver")
            self._receiver = waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                if self._receiver is waiter:
                    self._receiver = None
        return True

    def _wake_receiver(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    def _wake_sender(self) -> None:
        """Give the first sender its turn if there is room for it; whoever leaves the queue passes the turn on."""
        if self._senders:
            turn, rows, size = self._senders[0]
            if not turn.done() and (self._closed or self._has_room(rows, size)):
                turn.set_result(None)


def _weigh(item: StreamItem) -> tuple[int, int]:
    """Return how many rows and bytes an item counts for."""
    if isinstance(item, Batch):
        return len(item), item.nbytes
    return 0, EVENT_BYTES + (item.batch.nbytes if isinstance(item, Diverted) else 0)


def _symbols(batch: Batch[Row]) -> Sequence[str | None]:
    return batch.columns.text("symbol") if batch.born == "columns" else [row.symbol for row in batch.rows]


def _times(batch: Batch[Row]) -> Sequence[int]:
    times: list[int] = (
        batch.columns["ts_event"].tolist() if batch.born == "columns" else [row.ts_event for row in batch.rows]
    )
    return times
