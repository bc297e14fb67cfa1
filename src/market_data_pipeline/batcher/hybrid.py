"""Groups rows by count, bytes and age, whichever comes first."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock
from market_data_pipeline.model import Batch, Row, StreamItem, Watermark, concat


class HybridBatcher:
    """Joins batches of one kind, origin and face; thresholds are flush points, so that a large batch stays one.

    An event comes out behind the rows before it, and lets them out. Only a `Watermark`, which follows nearly every
    batch, waits with the rows: of several the newest comes out, behind rows that came after the older ones. It is then
    as true as before, since it promises less than what has already been kept.

    Attributes:
        clock: Measures the age of the oldest row.
    """

    def __init__(
        self,
        max_rows: int = 500,
        max_bytes: int = 512_000,
        flush_ms: float = 100,
        *,
        clock: Clock | None = None,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._flush_ns = int(flush_ms * 1e6)
        self._deadline: int | None = None
        self._held: list[Batch[Row]] = []
        self._rows = 0
        self._bytes = 0
        self._watermarks: dict[tuple[str, frozenset[str] | None], Watermark] = {}

    @property
    def deadline(self) -> int | None:
        """When the oldest row has waited long enough, monotonic ns; None when there is none."""
        return self._deadline

    def add(self, item: StreamItem) -> Sequence[StreamItem]:
        """Take one item and return what is due."""
        if isinstance(item, Batch):
            return self._add_batch(item)
        if isinstance(item, Watermark) and self._held:
            key = item.source, item.symbols
            self._watermarks.pop(key, None)  # so that the newest stands last
            self._watermarks[key] = item
            return ()
        return (*self.flush(), item)

    def flush(self) -> Sequence[StreamItem]:
        """Return all that is held."""
        if not self._held:
            return ()
        items: tuple[StreamItem, ...] = (concat(self._held), *self._watermarks.values())
        self._held.clear()
        self._watermarks.clear()
        self._rows = self._bytes = 0
        self._deadline = None
        return items

    def _add_batch(self, batch: Batch[Row]) -> Sequence[StreamItem]:
        rows, size = len(batch), batch.nbytes
        due: Sequence[StreamItem] = ()
        if self._held and not _alike(self._held[-1], batch):
            due = self.flush()
        if rows >= self._max_rows or size >= self._max_bytes:
            return (*due, *self.flush(), batch)  # large enough by itself: joining would only copy it
        if not self._held:
            self._deadline = self.clock.monotonic_ns() + self._flush_ns
        self._held.append(batch)
        self._rows += rows
        self._bytes += size
        if self._rows >= self._max_rows or self._bytes >= self._max_bytes:
            return (*due, *self.flush())
        return due


def _alike(one: Batch[Row], other: Batch[Row]) -> bool:
    return one.kind == other.kind and one.born == other.born and one.origin == other.origin
