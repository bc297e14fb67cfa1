"""One sink in a pipeline: its counts, and its errors under its name."""

from __future__ import annotations

from typing import NoReturn

from market_data_pipeline.contracts import Sink
from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Batch, StreamItem
from market_data_pipeline.pipeline.ledger import SinkCounts
from market_data_pipeline.source.guard import CONNECT_TIMEOUT, FOREIGN, bounded_close, run_foreign


class Output:
    """Runs one sink.

    Attributes:
        counts: What became of the rows.
        failed: Whether it raised: then it gets nothing more.
    """

    def __init__(self, sink: Sink) -> None:
        self.counts: SinkCounts = SinkCounts(type(sink).__name__)
        self.failed: bool = False
        self._sink = sink
        self._written = 0

    async def open(self, pipeline: str) -> None:
        """Open the sink, for at most 30 s.

        Raises:
            SinkError: It does not open.
        """

        async def connect() -> None:
            try:
                await self._sink.open(pipeline)
            except FOREIGN as error:
                self._fail("open", error)

        try:
            await run_foreign(f"sink {self.counts.name}", connect, limit=CONNECT_TIMEOUT)
        except TimeoutError:
            raise SinkError(
                f"sink {self.counts.name} did not open within {CONNECT_TIMEOUT:g} s", transient=True
            ) from None

    def hold(self, rows: int) -> None:
        """Count rows that are on their way to the sink."""
        self.counts.received += rows
        self.counts.held += rows

    async def write(self, item: StreamItem) -> None:
        """Give the sink one item.

        Raises:
            SinkError: It cannot write it.
        """
        try:
            await self._sink.write(item)
        except FOREIGN as error:
            self._fail("write", error)
        if isinstance(item, Batch):
            self._written += len(item)

    async def commit(self) -> None:
        """Make durable what was written; only then does it count as delivered.

        Raises:
            SinkError: The sink cannot promise it.
        """
        try:
            await self._sink.commit(None, b"")
        except FOREIGN as error:
            self._fail("commit", error)
        self.counts.delivered += self._written
        self.counts.held -= self._written
        self._written = 0

    async def close(self) -> None:
        """Close the sink, whatever happens, within its time."""
        await bounded_close(f"sink {self.counts.name}", self._sink)

    def _fail(self, verb: str, error: BaseException) -> NoReturn:
        self.failed = True
        if isinstance(error, SinkError):
            raise error
        raise SinkError(f"sink {self.counts.name} cannot {verb}: {type(error).__name__}: {error}") from error
