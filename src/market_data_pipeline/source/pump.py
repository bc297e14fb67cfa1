"""From rows one by one to batches: a source that implements `stream()` becomes one with `batches()`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from itertools import groupby

import anyio
import anyio.lowlevel

from market_data_pipeline.contracts import RowSource
from market_data_pipeline.errors import SourceBug
from market_data_pipeline.model import BATCHES, Batch, Row

MAX_ROWS = 1024


class RowPump:
    """Batches what is ready: a batch is closed when the source has to wait, or after 1 024 rows.

    One task runs `fill()` and `end()`, another one `take()`.
    """

    def __init__(self, source: RowSource, name: str = "") -> None:
        self._source = source
        self._name = name
        self._rows: list[Row] = []
        self._filled = anyio.Event()
        self._emptied = anyio.Event()
        self._ended = False

    async def fill(self) -> None:
        """Take rows from the source until it ends."""
        rows, append = self._rows, self._rows.append
        async with aclosing(self._source.stream()) as stream:
            async for row in stream:
                append(row)
                count = len(rows)
                if count == 1:
                    self._filled.set()
                elif count == MAX_ROWS:
                    await self._emptied.wait()

    def end(self) -> None:
        """Say that no row follows."""
        self._ended = True
        self._filled.set()

    async def take(self) -> list[Batch[Row]]:
        """Wait until there are rows.

        Returns:
            What is there, in order; none at the end.
        """
        await self._filled.wait()
        # One more round of the loop, in which the source runs on until it has to wait.
        await anyio.lowlevel.checkpoint()
        rows = self._rows[:]
        self._rows.clear()
        self._emptied.set()
        self._emptied = anyio.Event()
        if not self._ended:
            self._filled = anyio.Event()
        return batched(rows, self._name)


def batched(rows: Sequence[Row], source: str = "") -> list[Batch[Row]]:
    """Return rows as batches of one kind and one origin, in order.

    Raises:
        SourceBug: Something else than a row is among them.
    """
    if not rows:
        return []
    first, count = rows[0], len(rows)
    # Nearly always it is one batch, which this tells at a quarter of what groupby costs.
    alike = list(map(type, rows)).count(type(first)) == count
    for row in rows[: 1 if alike else None]:
        if not isinstance(row, Row):
            raise SourceBug(
                f"{source or 'a source'} gave a {type(row).__name__}: stream() yields Quote, Trade or Bar of "
                "market_data_pipeline.model",
                source=source,
            )
    if alike and [row.origin for row in rows].count(first.origin) == count:
        return [BATCHES[first.kind](rows)]
    return [BATCHES[kind](run) for (kind, _), run in groupby(rows, key=lambda row: (row.kind, row.origin))]
