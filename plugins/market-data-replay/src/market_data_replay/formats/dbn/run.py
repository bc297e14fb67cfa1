"""One DBN file as a run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs

from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model import BATCHES, Row
from market_data_replay.formats.contract import BEGINNING, Chunk, Query, Tally
from market_data_replay.formats.dbn.library import load
from market_data_replay.formats.dbn.reading import decoded, reading
from market_data_replay.formats.dbn.rows import Maker
from market_data_replay.formats.dbn.symbols import Symbols
from market_data_replay.formats.record import to_chunk

RECORD = 80
"""Bytes of a record, roughly."""


@attrs.frozen(kw_only=True)
class DbnRun:
    """One file."""

    path: Path
    query: Query
    size: int
    lower: int = BEGINNING

    def chunks(self, tally: Tally, rows: int) -> Generator[Chunk]:
        """Read the file.

        Yields:
            Its rows of the query, cut where the kind changes.

        Raises:
            InvalidRequest: It is damaged.
        """
        first, done = 1, 0
        maker: Maker | None = None
        with reading(self.path) as (stream, file):
            for records in decoded(self.path, stream, rows * RECORD):
                if maker is None:
                    maker = Maker(load(), Symbols(records.pop(0)))
                made = self._rows(maker, records, first, tally)
                for kind, group in groupby(made, key=lambda row: row.kind):
                    if kind in self.query.kinds:
                        chunk = to_chunk(BATCHES[kind](group), self.query, tally, stamped=False)
                        if chunk is not None:
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
