"""CSV: a row a line, with the names of the columns in the first one or without."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

import attrs
import numpy as np
import pyarrow as pa

from market_data_pipeline.model import Kind
from market_data_replay.formats.contract import Query
from market_data_replay.formats.text.lines import lines_of
from market_data_replay.formats.text.mapping import check_complete, place
from market_data_replay.formats.text.run import Part
from market_data_replay.formats.text.table import Table, names_of
from market_data_replay.settings import ReplaySettings

if TYPE_CHECKING:
    from market_data_replay.formats.text.run import Skip

Numbered = tuple[int, list[str]]


@attrs.frozen(kw_only=True)
class CsvReader:
    """Reads CSV by the settings."""

    settings: ReplaySettings
    kind: Kind

    def blocks(self, stream: BinaryIO, rows: int, skip: Skip, query: Query) -> Generator[Sequence[Part]]:
        """Yield the rows; see `Reader.blocks`."""
        numbered = self._rows(stream, skip)
        first = next(numbered, None)
        if first is None:
            return
        header = [name.strip() for name in first[1]] if self.settings.header else None
        width = len(first[1])
        places = self._places(header, width, query)
        where = [
            (place({"where": column}, header, width, query)["where"], text)
            for column, text in self.settings.where.items()
        ]
        waiting = [] if self.settings.header else [first]
        while block := waiting + list(islice(numbered, rows - len(waiting))):
            waiting = []
            good = _of_width(block, width, skip)
            for number, text in where:
                good = [one for one in good if one[1][number] == text]
            if good:
                lines, values = zip(*good, strict=True)
                yield [Part(self._table(values, places), np.array(lines))]

    def _rows(self, stream: BinaryIO, skip: Skip) -> Iterator[Numbered]:
        """Yield rows that are not empty, with the numbers of their lines."""
        texts = (str(line, "utf-8", "replace") for line in lines_of(stream))
        reader = csv.reader(texts, delimiter=self.settings.delimiter, skipinitialspace=True)
        while True:
            try:
                for row in reader:
                    if row:
                        yield reader.line_num, row
            except csv.Error as error:
                skip(reader.line_num, str(error))
            else:
                return

    def _places(self, header: list[str] | None, width: int, query: Query) -> dict[str, int]:
        wanted = self.settings.columns or {name: name for name in names_of(self.kind) if name in (header or ())}
        places = place(wanted, header, width, query)
        check_complete(self.kind, places, self.settings, query)
        return places

    def _table(self, rows: Sequence[Sequence[str]], places: dict[str, int]) -> Table:
        columns = list(zip(*rows, strict=True))
        texts = {
            name: pa.array([text or None for text in columns[number]], pa.string()) for name, number in places.items()
        }
        return Table(kind=self.kind, texts=texts, settings=self.settings)


def _of_width(block: list[Numbered], width: int, skip: Skip) -> list[Numbered]:
    if all(len(row) == width for _, row in block):
        return block
    for line, row in block:
        if len(row) != width:
            skip(line, f"it has {len(row)} columns, not {width}")
    return [one for one in block if len(one[1]) == width]
