"""One text file as a run."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import attrs
import pyarrow as pa

from market_data_pipeline.errors import InvalidRequest
from market_data_replay.formats.contract import BEGINNING, Array, Chunk, Mixed, Query, Tally
from market_data_replay.formats.record import Read, chosen, counted, read_batches
from market_data_replay.formats.text.lines import open_bytes
from market_data_replay.formats.text.table import Table

Skip = Any


@attrs.frozen
class Part:
    """Some rows of a file, and the number of the line of each."""

    table: Table
    lines: Array


class Reader(Protocol):
    """Reads one way of writing rows as text."""

    def blocks(self, stream: BinaryIO, rows: int, skip: Skip, query: Query) -> Generator[Sequence[Part]]:
        """Yield about `rows` rows at a time, a part for each kind; `skip` is for those that cannot be read."""
        ...


@attrs.frozen(kw_only=True)
class TextRun:
    """One file."""

    path: Path
    reader: Reader
    query: Query
    size: int
    lower: int = BEGINNING

    def chunks(self, tally: Tally, rows: int) -> Generator[Chunk | Mixed]:
        """Read the file.

        Yields:
            Its rows of the query.

        Raises:
            InvalidRequest: It is damaged, its columns are not those of the settings, or no row can be read.
        """
        skip = partial(tally.skip, str(self.path))
        before, good = tally.malformed, False
        try:
            with open_bytes(self.path) as (stream, file):
                for parts in counted(self.reader.blocks(stream, rows, skip, self.query), file, tally):
                    batches: list[Read] = []
                    for part in parts:
                        batches += self._batches(part, skip, first=not good)
                        good = good or bool(batches)
                    if (chunk := chosen(batches, self.query, tally)) is not None:
                        yield chunk
        except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
            raise InvalidRequest(f"{self.path} is damaged ({error}): replace or remove it", source="replay") from error
        if not good and tally.malformed > before:
            raise InvalidRequest(f"{self.path} is not what it claims to be: no row of it can be read", source="replay")

    def _batches(self, part: Part, skip: Skip, *, first: bool) -> Iterator[Read]:
        table = part.table
        claim = f"{self.path} does not read as {table.kind} rows by the settings" if first else None
        for number, batch in read_batches(
            table.read, len(table), skip=lambda number, reason: skip(int(part.lines[number]), reason), claim=claim
        ):
            yield batch, part.lines[number : number + len(batch)], table.stamped
