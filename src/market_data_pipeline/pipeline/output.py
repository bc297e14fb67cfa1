"""One sink in a pipeline: its counts, and its errors under its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from market_data_pipeline.contracts import Sink
from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Batch, StreamItem
from market_data_pipeline.pipeline.ledger import SinkCounts
from market_data_pipeline.source.guard import bounded_close


class Output:
    """Runs one sink."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.counts = SinkCounts(name)
        self.failed = False
        self._sink = sink
        self._written = 0

    async def open(self, pipeline: str) -> None:
        """Open the sink.

        Raises:
            SinkError: It does not open.
        """
        with self._errors("open"):
            await self._sink.open(pipeline)

    def hold(self, rows: int) -> None:
        """Count rows that are on their way to the sink."""
        self.counts.received += rows
        self.counts.held += rows

    async def write(self, item: StreamItem) -> None:
        """Give the sink one item.

        Raises:
            SinkError: It cannot write it.
        """
        with self._errors("write"):
            await self._sink.write(item)
        if isinstance(item, Batch):
            self._written += len(item)

    async def commit(self) -> None:
        """Make durable what was written; only then does it count as delivered.

        Raises:
            SinkError: The sink cannot promise it.
        """
        with self._errors("commit"):
            await self._sink.commit(None, b"")
        self.counts.delivered += self._written
        self.counts.held -= self._written
        self._written = 0

    async def close(self) -> None:
        """Close the sink, whatever happens, within its time."""
        await bounded_close(f"sink {self.counts.name}", self._sink.close)

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except SinkError:
            self.failed = True
            raise
        except Exception as error:
            self.failed = True
            raise SinkError(f"sink {self.counts.name} cannot {verb}: {type(error).__name__}: {error}") from error
