"""One DBN file as a run."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model import BATCHES, Row
from market_data_replay.formats.contract import BEGINNING, Chunk, Mixed, Query, Tally
from market_data_replay.formats.dbn.library import load
from market_data_replay.formats.dbn.reading import decoded, reading
from market_data_replay.formats.dbn.rows import Maker
from market_data_replay.formats.dbn.symbols import Symbols
from market_data_replay.formats.record import Read, chosen, counted

RECORD = 80
"""Bytes of a record, roughly."""


@attrs.frozen(kw_only=True)
class DbnRun:
    """One file."""

    path: Path
    query: Query
    size: int
    lower: int = BEGINNING

    def chunks(self, tally: Tally, rows: int) -> Generator[Chunk | Mixed]:
        """Read the file.

        Yields:
            Its rows of the query.

        Raises:
            InvalidRequest: It is damaged.
        """
        first = 1
        maker: Maker | None = None
        with reading(self.path) as (stream, file):
            for records in counted(decoded(self.path, stream, rows * RECORD), file, tally):
                if maker is None:
                    maker = Maker(load(), Symbols(records.pop(0)))
                made = list(self._rows(maker, records, first, tally))
                first += len(records)
                if (chunk := chosen(self._batches(made), self.query, tally)) is not None:
                    yield chunk

    def _batches(self, rows: Sequence[Row]) -> Iterator[Read]:
        for kind in self.query.kinds & {row.kind for row in rows}:
            places = np.array([place for place, row in enumerate(rows) if row.kind == kind])
            yield BATCHES[kind](rows[place] for place in places), places, False

    def _rows(self, maker: Maker, records: list[Any], first: int, tally: Tally) -> Iterator[Row]:
        for number, record in enumerate(records, first):
            try:
                yield from maker.make(record)
            except MalformedMessage as error:
                tally.skip(str(self.path), number, str(error))
