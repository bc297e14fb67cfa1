"""The stages after the source: operators, batchers and sinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from market_data_pipeline.model import Batch, ControlEvent, Kind, Row, StreamItem


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator made of one batch or event, and what became of each row.

    Of a batch, `passed + folded + filtered + deduplicated` is its length; over `items`, the rows in batches are
    `passed + created`. The pipeline checks both.
    """

    items: Sequence[StreamItem] = ()
    passed: int = 0
    """Rows that go on, themselves or as their replacement."""
    folded: int = 0
    """Rows that went into the operator's state."""
    filtered: int = 0
    """Rows that nobody wants further."""
    deduplicated: int = 0
    """Rows that were there already."""
    created: int = 0
    """New rows in `items`."""


@runtime_checkable
class Operator(Protocol):
    """A plain function of the sequence of rows and events, with state: no clock, no I/O.

    Output never depends on how rows were cut into batches, nor on their face. An exception fails the pipeline, unless
    the operator is `stateless`: then the rows that it cannot take are put aside.
    """

    accepts: frozenset[Kind]
    stateless: bool

    def on_batch(self, batch: Batch[Row]) -> Outcome:
        """Take rows of an accepted kind."""
        ...

    def on_control(self, event: ControlEvent) -> Outcome:
        """Take an event; the usual answer passes it on."""
        ...

    def finish(self) -> Outcome:
        """Give out what is still held: nothing follows."""
        ...

    def snapshot(self) -> bytes:
        """Return the state, for `restore`."""
        ...

    def restore(self, state: bytes) -> None:
        """Take over the state of an operator with the same settings."""


@runtime_checkable
class Batcher(Protocol):
    """Groups rows for the sink. It never drops and has no task: the pipeline owns the timer and the back-pressure."""

    @property
    def deadline(self) -> int | None:
        """When `flush()` is due, monotonic ns; None when it holds nothing."""
        ...

    def add(self, item: StreamItem) -> Sequence[StreamItem]:
        """Take one item and return what is due; an event comes out behind the rows before it."""
        ...

    def flush(self) -> Sequence[StreamItem]:
        """Return all that is held."""
        ...


@runtime_checkable
class Sink(Protocol):
    """Writes items somewhere. Used by one task; `write` may buffer, `commit` is the promise."""

    @property
    def guarantee(self) -> Literal["best_effort", "at_least_once", "effectively_once"]:
        """What it promises of the rows that it was given."""
        ...

    async def open(self, pipeline: str) -> tuple[str, bytes] | None:
        """Get ready for the pipeline of that name; return the last committed (position, state) if it keeps them."""
        ...

    async def write(self, item: StreamItem) -> None:
        """Take one item; what is not written by the next commit is not promised.

        Raises:
            SinkError: It cannot be written.
        """

    async def commit(self, position: str | None, state: bytes) -> None:
        """Make all that was written durable before returning.

        Raises:
            SinkError: It cannot be made durable.
        """

    async def close(self) -> None:
        """Give back all it holds, without promising anything. Idempotent."""
