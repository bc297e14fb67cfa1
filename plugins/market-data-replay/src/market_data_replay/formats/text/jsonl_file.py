"""JSON Lines: an object a line, of anybody's form or of ours."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, BinaryIO

import attrs
import msgspec
import pyarrow as pa

from market_data_pipeline.model import BATCHES, Kind
from market_data_replay.formats.contract import Query
from market_data_replay.formats.text.lines import lines_of
from market_data_replay.formats.text.mapping import check_complete, getter
from market_data_replay.formats.text.run import Part
from market_data_replay.formats.text.table import Table, names_of
from market_data_replay.settings import ReplaySettings

if TYPE_CHECKING:
    from market_data_replay.formats.text.run import Skip

Numbered = tuple[int, Any]

# Numbers stay text: a price never becomes a float.
_decoder = msgspec.json.Decoder(float_hook=str)


@attrs.frozen(kw_only=True)
class JsonlReader:
    """Reads JSON Lines by the settings; without a kind, lines of ours, each of which says its own."""

    settings: ReplaySettings
    kind: Kind | None

    def parts(self, stream: BinaryIO, rows: int, skip: Skip, query: Query) -> Generator[Part]:
        """Yield the rows in parts; see `Reader.parts`."""
        if self.kind is not None and self.settings.columns:
            check_complete(self.kind, self.settings.columns, self.settings, query)
        lines = enumerate(lines_of(stream), 1)
        where = [(getter(path), text) for path, text in self.settings.where.items()]
        while block := list(islice(lines, rows)):
            decoded = _decode(block, skip)
            if where:
                decoded = (one for one in decoded if all(_text(get(one[1])) == text for get, text in where))
            yield from self._parts(decoded, skip, query)

    def _parts(self, numbered: Iterator[Numbered], skip: Skip, query: Query) -> Iterator[Part]:
        if self.kind is not None:
            if rows := list(numbered):
                yield self._part(self.kind, rows)
            return
        for kind, group in groupby(numbered, key=_kind):
            rows = list(group)
            if kind not in BATCHES:
                for line, _ in rows:
                    skip(
                        line, f"its kind is {kind!r}, not quote, trade or bar: say with kind and columns what is where"
                    )
            elif kind in query.kinds:
                yield self._part(kind, rows)

    def _part(self, kind: Kind, rows: Sequence[Numbered]) -> Part:
        columns = self.settings.columns or {name: name for name in names_of(kind)}
        texts = {}
        for name, path in columns.items():
            get = getter(path)
            values = [_text(get(row)) for _, row in rows]
            if self.settings.columns or any(value is not None for value in values):
                texts[name] = pa.array(values, pa.string())
        table = Table(kind=kind, texts=texts, settings=self.settings, own=self.kind is None)
        return Part(table, [line for line, _ in rows])


def _decode(block: Sequence[tuple[int, bytes]], skip: Skip) -> Iterator[Numbered]:
    for number, line in block:
        if line.isspace():
            continue
        try:
            yield number, _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            skip(number, str(error))


def _kind(numbered: Numbered) -> str | None:
    """Return the kind that a line of ours says."""
    row = numbered[1]
    return str(row.get("kind")) if isinstance(row, dict) else None


def _text(value: object) -> str | None:
    """Return a JSON value as text: numbers as they are written, a list joined by ","."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(filter(None, map(_text, value)))
    return str(value)
