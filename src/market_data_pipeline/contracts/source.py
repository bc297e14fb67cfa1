"""The source: one consumer's view of a stream of ticks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, runtime_checkable

import attrs

from market_data_pipeline.contracts.capabilities import Capabilities
from market_data_pipeline.model import Kind, Row, StreamItem


@attrs.frozen(kw_only=True)
class StreamRequest:
    """What one consumer wants."""

    symbols: tuple[str, ...] = ()
    """Canonical symbols, which rows carry back. Empty: all that the source has, where it can tell."""
    kinds: frozenset[Kind] = frozenset({"quote"})
    after: str | None = None
    """A `Batch.position` to go on after, where the source is resumable."""


@attrs.frozen
class SourceStatus:
    """How a source is, at a glance."""

    connected: bool
    detail: str = ""
    progress: float | None = None
    """Which part is done, from 0 to 1, where the end is known."""


@runtime_checkable
class TickSource(Protocol):
    """One consumer's view of a stream: a fixed request, iterated once, by one task of the core that always closes it.

    Rows of one symbol come in the order of the vendor; `ordinal` grows within a provider and epoch. A generator never
    yields inside a task group or cancel scope. A source raises the errors of `market_data_pipeline.errors` alone.
    """

    @property
    def symbols(self) -> Sequence[str]:
        """What it was asked for."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def start(self) -> None:
        """Connect, or whatever has to be done before the first row. Called once, before `batches()`."""

    def batches(self) -> AsyncGenerator[StreamItem, None]:
        """Yield batches and control events, in order, until the end.

        Raises:
            SourceClosed: After `close()`.
            SourceBusy: It is iterated already.
        """
        ...

    async def status(self) -> SourceStatus:
        """Say how it is; never changes anything."""
        ...

    async def close(self) -> None:
        """Give back all it holds. Idempotent; nothing is yielded afterwards."""


@runtime_checkable
class Dynamic(Protocol):
    """What a source may also offer: its symbols can change while it runs."""

    async def set_symbols(self, symbols: Sequence[str]) -> None:
        """Serve these symbols, and no others, from now on; `symbols` says so when this returns.

        Raises:
            SourceError: It cannot; the symbols are as they were.
        """


@runtime_checkable
class RowSource(Protocol):
    """The short form of a source: it yields one row at a time, and the core makes the batches."""

    @property
    def symbols(self) -> Sequence[str]:
        """What it was asked for."""
        ...

    def stream(self) -> AsyncGenerator[Row, None]:
        """Yield rows until the end."""
        ...

    async def close(self) -> None:
        """Give back all it holds. Idempotent."""
