"""One DBN file as a run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
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
from market_data_replay.formats.record import mix, to_chunk

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
        first, done = 1, 0
        maker: Maker | None = None
        with reading(self.path) as (stream, file):
            for records in decoded(self.path, stream, rows * RECORD):
                if maker is None:
                    maker = Maker(load(), Symbols(records.pop(0)))
                made = list(self._rows(maker, records, first, tally))
                placed = []
                for kind in self.query.kinds & {row.kind for row in made}:
                    places = np.array([place for place, row in enumerate(made) if row.kind == kind])
                    batch = BATCHES[kind](made[place] for place in places)
                    if (chosen := to_chunk(batch, self.query, tally, stamped=False)) is not None:
                        placed.append((chosen[0], places[chosen[1]]))
                if (chunk := mix(placed)) is not None:
                    yield chunk
                first += len(records)
                tally.read += file.tell() - done
                done = file.tell()

    def _rows(self, maker: Maker, records: list[Any], first: int, tally: Tally) -> Iterator[Row]:
        for number, record in enumerate(records, first):
            try:
                yield from maker.make(record)
            except MalformedMessage as error:
                tally.skip(str(self.path), number, str(error))
