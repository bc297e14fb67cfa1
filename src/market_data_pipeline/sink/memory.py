"""The memory sink: a list, for tests and notebooks."""

from __future__ import annotations

from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Batch, Row, StreamItem
from market_data_pipeline.sink.base import BaseSink


class MemorySink(BaseSink):
    """Keeps what it is given.

    Attributes:
        items: Batches and events, in order.
    """

    def __init__(self, max_rows: int = 1_000_000) -> None:
        self.items: list[StreamItem] = []
        self._max_rows = max_rows
        self._count = 0

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all batches, in order."""
        return tuple(row for item in self.items if isinstance(item, Batch) for row in item.rows)

    async def write(self, item: StreamItem) -> None:
        """Keep one item.

        Raises:
            SinkError: There are more rows than `max_rows`.
        """
        if isinstance(item, Batch):
            if self._count + len(item) > self._max_rows:
                raise SinkError(f"the memory sink is full at {self._max_rows} rows: raise max_rows, or write to files")
            self._count += len(item)
        self.items.append(item)
