"""The reading end of a stream: items from a channel, one by one or row by row."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar, cast

import anyio.lowlevel

from market_data_pipeline.channel import Channel
from market_data_pipeline.model import BATCHES, Batch, Row, StreamItem
from market_data_pipeline.pipeline.ledger import count_rows

R = TypeVar("R", bound=Row)


class Reader(Generic[R]):
    """Fetches what the channel has and hands it out; batches of another kind than asked for are counted and skipped."""

    def __init__(self, channel: Channel, row_type: type[R]) -> None:
        self.channel: Channel = channel
        self.row_type: type[R] = row_type
        self._items: deque[StreamItem] = deque()
        self._rows: deque[R] = deque()
        self._fetched = 0
        self._newest: Batch[Row] | None = None

    @property
    def waiting(self) -> int:
        """Rows that were fetched and not handed out, or not fetched yet."""
        return self.channel.rows + self._kept

    @property
    def taken(self) -> int:
        """Rows that were handed out."""
        return self._fetched - self._kept

    @property
    def ts_recv(self) -> int:
        """That of the newest row that was fetched, int ns; 0 before the first."""
        batch = self._newest
        if batch is None:
            return 0
        return int(batch.columns["ts_recv"][-1]) if batch.born == "columns" else batch.rows[-1].ts_recv

    async def next_row(self) -> R | None:
        """Return the next row; None at the end."""
        while not self._rows:
            item = await self._next()
            if item is None:
                return None
            if isinstance(item, Batch):
                self._rows.extend(cast("Sequence[R]", item.rows))
        return self._rows.popleft()

    async def next_item(self) -> StreamItem | None:
        """Return the next batch or event, or the rows that are left of a batch that was begun; None at the end."""
        if not self._rows:
            return await self._next()
        rest = BATCHES[self.row_type.kind](tuple(self._rows))
        self._rows.clear()
        return rest

    @property
    def _kept(self) -> int:
        return count_rows(self._items) + len(self._rows)

    async def _next(self) -> StreamItem | None:
        while True:
            if not self._items:
                self._items.extend(await self.channel.receive_many())
                if not self._items:
                    return None
                self._fetched += count_rows(self._items)
                self._newest = next((one for one in reversed(self._items) if isinstance(one, Batch)), self._newest)
                await anyio.lowlevel.checkpoint()
            item = self._items.popleft()
            if not isinstance(item, Batch) or item.row_type is self.row_type:
                return item
