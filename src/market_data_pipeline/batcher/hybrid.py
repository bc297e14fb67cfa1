"""Groups rows by count, bytes and age, whichever comes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from market_data_pipeline.batcher.due import NOTHING, Due
from market_data_pipeline.channel import Policy
from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock
from market_data_pipeline.errors import ConfigurationError, nearest
from market_data_pipeline.model import BATCHES, Batch, Row, StreamItem, Watermark, concat

DropPolicy = Literal["oldest", "newest", "block"]

DROP_POLICIES: Final[Mapping[DropPolicy, Policy]] = {
    "oldest": "drop_oldest",
    "newest": "drop_newest",
    "block": "block",
}
"""What earlier programs call what happens when a queue is full."""


class HybridBatcher:
    """Joins batches of one kind, origin and face; thresholds are flush points, so that a large batch stays one.

    An event comes out behind the rows before it, and lets them out. Only a `Watermark`, which follows nearly every
    batch, waits with the rows: of several the newest comes out, behind rows that came after the older ones. It is then
    as true as before, since it promises less than what has already been kept.

    It has no queue. What is said of one here holds for the one before the operators, in a pipeline whose context says
    nothing else.

    Attributes:
        clock: Measures the age of the oldest row.
        on_full: What happens when that queue is full; None: the pipeline decides.
        queue_rows: How many rows wait there; None: the pipeline decides.
    """

    def __init__(
        self,
        max_rows: int = 500,
        max_bytes: int = 512_000,
        flush_ms: float = 100,
        op_queue_max: int | None = None,
        drop_policy: DropPolicy | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Make a batcher.

        Args:
            max_rows: Rows at which they go on.
            max_bytes: Bytes in memory at which they go on.
            flush_ms: The age of the oldest row at which they go on, in ms.
            op_queue_max: How many times `max_rows` may wait before the operators.
            drop_policy: What happens when more come: "oldest" or "newest" rows are dropped, or the source has to wait
                ("block").
            clock: Measures the age.

        Raises:
            ConfigurationError: The policy is unknown, or the queue is not positive.
        """
        if drop_policy is not None and drop_policy not in DROP_POLICIES:
            raise ConfigurationError(
                f"{drop_policy!r} is no policy; {nearest(drop_policy, DROP_POLICIES)}", where="drop_policy"
            )
        if op_queue_max is not None and op_queue_max <= 0:
            raise ConfigurationError(f"is one or more, not {op_queue_max}", where="op_queue_max")
        self.clock: Clock = clock or SystemClock()
        self.on_full: Policy | None = drop_policy and DROP_POLICIES[drop_policy]
        self.queue_rows: int | None = op_queue_max and op_queue_max * max_rows
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

    def add(self, item: StreamItem | Row) -> Due:
        """Take one item, or one row, and return what is due."""
        if isinstance(item, Batch):
            return self._add_batch(item)
        if isinstance(item, Row):
            return self._add_batch(BATCHES[item.kind]((item,)))
        if isinstance(item, Watermark) and self._held:
            key = item.source, item.symbols
            self._watermarks.pop(key, None)  # so that the newest stands last
            self._watermarks[key] = item
            return NOTHING
        return Due((*self.flush(), item))

    def flush(self) -> Due:
        """Return all that is held."""
        if not self._held:
            return NOTHING
        items = Due((concat(self._held), *self._watermarks.values()))
        self._held.clear()
        self._watermarks.clear()
        self._rows = self._bytes = 0
        self._deadline = None
        return items

    def _add_batch(self, batch: Batch[Row]) -> Due:
        rows, size = len(batch), batch.nbytes
        due = NOTHING
        if self._held and not _alike(self._held[-1], batch):
            due = self.flush()
        if rows >= self._max_rows or size >= self._max_bytes:
            return Due((*due, *self.flush(), batch))  # large enough by itself: joining would only copy it
        if not self._held:
            self._deadline = self.clock.monotonic_ns() + self._flush_ns
        self._held.append(batch)
        self._rows += rows
        self._bytes += size
        if self._rows >= self._max_rows or self._bytes >= self._max_bytes:
            return Due((*due, *self.flush()))
        return due


def _alike(one: Batch[Row], other: Batch[Row]) -> bool:
    return one.kind == other.kind and one.born == other.born and one.origin == other.origin
