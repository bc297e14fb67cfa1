"""From rows one by one to batches: a source that implements `stream()` becomes one with `batches()`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from itertools import groupby

import anyio
import anyio.lowlevel

from market_data_pipeline.contracts import RowSource
from market_data_pipeline.model import BATCHES, Batch, Row

MAX_ROWS = 1024


class RowPump:
    """Batches what is ready: a batch is closed when the source has to wait, or after 1 024 rows.

    Two tasks of the pipeline use it: one runs `fill()`, the other iterates `batches()`.
    """

    def __init__(self, source: RowSource) -> None:
        self._source = source
        self._rows: list[Row] = []
        self._filled = anyio.Event()
        self._emptied = anyio.Event()
        self._ended = False
        self.error: Exception | None = None
        """What the source raised; to be looked at behind the last batch."""

    async def fill(self) -> None:
        """Take rows from the source until it ends; what it raises is kept in `error`."""
        try:
            async with aclosing(self._source.stream()) as stream:
                async for row in stream:
                    self._rows.append(row)
                    if len(self._rows) == 1:
                        self._filled.set()
                    elif len(self._rows) >= MAX_ROWS:
                        await self._emptied.wait()
        except Exception as error:  # noqa: BLE001 - foreign code; raised by the intake, behind the last row
            self.error = error
        finally:
            self._ended = True
            self._filled.set()

    async def batches(self) -> AsyncGenerator[Batch[Row], None]:
        """Yield what is there, as soon as something is, until the source has ended."""
        while True:
            await self._filled.wait()
            # One more round of the loop, in which the source runs on until it has to wait.
            await anyio.lowlevel.checkpoint()
            rows, self._rows = self._rows, []
            self._emptied.set()
            self._emptied = anyio.Event()
            if not self._ended:
                self._filled = anyio.Event()
            for batch in batched(rows):
                yield batch
            if self._ended and not self._rows:
                return


def batched(rows: Sequence[Row]) -> Iterator[Batch[Row]]:
    """Cut rows into batches of one kind and one origin, in order."""
    if not rows:
        return
    kind, origin = rows[0].kind, rows[0].origin
    if all(row.origin is origin and row.kind == kind for row in rows):
        yield BATCHES[kind](rows)
        return
    for (kind, _), run in groupby(rows, key=lambda row: (row.kind, row.origin)):
        yield BATCHES[kind](run)
