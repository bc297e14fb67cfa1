"""CSV: a row a line, with the names of the columns in the first one or without."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.model import Kind
from market_data_replay.formats.contract import Array, Query
from market_data_replay.formats.text.csv_plain import read_plain
from market_data_replay.formats.text.lines import lines_of
from market_data_replay.formats.text.mapping import check_complete, place
from market_data_replay.formats.text.run import Part
from market_data_replay.formats.text.table import Table, names_of
from market_data_replay.settings import ReplaySettings

if TYPE_CHECKING:
    from market_data_replay.formats.text.run import Skip

Numbered = tuple[int, list[str]]


@attrs.frozen
class Shape:
    """Which columns of a file are read."""

    width: int
    places: dict[str, int]
    """Their numbers, by our names."""
    where: list[tuple[int, str]]
    """The texts that the columns of these numbers have to hold."""


@attrs.frozen(kw_only=True)
class CsvReader:
    """Reads CSV by the settings."""

    settings: ReplaySettings
    kind: Kind

    def blocks(self, stream: BinaryIO, rows: int, skip: Skip, query: Query) -> Generator[Sequence[Part]]:
        """Yield the rows; see `Reader.blocks`."""
        lines: Iterator[bytes] = lines_of(stream)
        line = 0
        first = b"\n"
        while first.isspace():
            first = next(lines, b"")
            line += 1
        if not first:
            return
        shape = self._shape(next(csv.reader([str(first, "utf-8", "replace")], **self._dialect)), query)
        if not self.settings.header:
            lines, line = chain([first], lines), line - 1
        while block := list(islice(lines, rows)):
            data = b"".join(block)
            if b'"' in data:  # a row may go on in the next line, and in the next block
                yield from self._slowly(chain(block, lines), line, shape, rows=rows, skip=skip)
            elif (columns := read_plain(data, len(block), shape.width, self.settings.delimiter)) is not None:
                yield self._parts(columns, np.arange(line + 1, line + 1 + len(block)), shape)
            else:
                yield from self._slowly(block, line, shape, rows=rows, skip=skip)
            line += len(block)

    def _slowly(
        self, lines: Iterable[bytes], line: int, shape: Shape, *, rows: int, skip: Skip
    ) -> Iterator[Sequence[Part]]:
        """Read lines one by one, and skip those that have more or fewer columns."""
        numbered = self._split(lines, line, skip)
        while block := list(islice(numbered, rows)):
            for number, row in block:
                if len(row) != shape.width:
                    skip(number, f"it has {len(row)} columns, not {shape.width}")
            if good := [one for one in block if len(one[1]) == shape.width]:
                numbers, values = zip(*good, strict=True)
                columns = [
                    pa.array([text or None for text in texts], pa.string()) for texts in zip(*values, strict=True)
                ]
                yield self._parts(columns, np.array(numbers), shape)

    @property
    def _dialect(self) -> dict[str, Any]:
        return {"delimiter": self.settings.delimiter, "skipinitialspace": True}

    def _split(self, lines: Iterable[bytes], line: int, skip: Skip) -> Iterator[Numbered]:
        """Yield rows that are not empty, with the numbers of their lines, the first of which comes behind `line`."""
        reader = csv.reader((str(text, "utf-8", "replace") for text in lines), **self._dialect)
        while True:
            try:
                for row in reader:
                    if row:
                        yield line + reader.line_num, row
            except csv.Error as error:
                skip(line + reader.line_num, str(error))
            else:
                return

    def _shape(self, first: list[str], query: Query) -> Shape:
        settings, width = self.settings, len(first)
        header = [name.strip() for name in first] if settings.header else None
        wanted = settings.columns or {name: name for name in names_of(self.kind) if name in (header or ())}
        places = place(wanted, header, width, query)
        check_complete(self.kind, places, settings, query)
        where = [
            (place({"where": column}, header, width, query)["where"], text) for column, text in settings.where.items()
        ]
        return Shape(width, places, where)

    def _parts(self, columns: Sequence[pa.Array[Any]], lines: Array, shape: Shape) -> list[Part]:
        for number, text in shape.where:
            keep: Any = pc.equal(columns[number], pa.scalar(text)).fill_null(False)  # noqa: FBT003
            columns = [column.filter(keep) for column in columns]
            lines = lines[keep.to_numpy(zero_copy_only=False)]
        texts = {name: columns[number] for name, number in shape.places.items()}
        return [Part(Table(kind=self.kind, texts=texts, settings=self.settings), lines)] if len(lines) else []
