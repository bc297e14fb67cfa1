"""JSON Lines: an object a line, of anybody's form or of ours."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import attrs
import msgspec
import numpy as np
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

    def blocks(self, stream: BinaryIO, rows: int, skip: Skip, query: Query) -> Generator[Sequence[Part]]:
        """Yield the rows; see `Reader.blocks`."""
        if self.kind is not None and self.settings.columns:
            check_complete(self.kind, self.settings.columns, self.settings, query)
        lines = enumerate(lines_of(stream), 1)
        where = [(getter(path), text) for path, text in self.settings.where.items()]
        while block := list(islice(lines, rows)):
            decoded = _decode(block, skip)
            for get, text in where:
                decoded = [one for one in decoded if _text(get(one[1])) == text]
            kinds = {self.kind: decoded} if self.kind else _by_kind(decoded, skip)
            yield [self._part(kind, found) for kind, found in kinds.items() if found and kind in query.kinds]

    def _part(self, kind: Kind, numbered: Sequence[Numbered]) -> Part:
        lines, rows = zip(*numbered, strict=True)
        columns = self.settings.columns or {name: name for name in names_of(kind)}
        texts = {}
        for name, path in columns.items():
            values = _values(rows, path)
            if self.settings.columns or any(value is not None for value in values):
                texts[name] = pa.array(values, pa.string())
        return Part(Table(kind=kind, texts=texts, settings=self.settings, own=self.kind is None), np.array(lines))


def _by_kind(numbered: Sequence[Numbered], skip: Skip) -> dict[Kind, list[Numbered]]:
    """Sort lines of ours by what they say they are."""
    found: dict[Kind, list[Numbered]] = {kind: [] for kind in BATCHES}
    for line, row in numbered:
        kind = row.get("kind") if isinstance(row, dict) else None
        if isinstance(kind, str) and kind in found:
            found[kind].append((line, row))
        else:
            skip(line, f"its kind is {kind!r}, not quote, trade or bar: say with kind and columns what is where")
    return found


def _decode(block: Sequence[tuple[int, bytes]], skip: Skip) -> list[Numbered]:
    decoded = []
    for number, line in block:
        if not line.isspace():
            try:
                decoded.append((number, _decoder.decode(line)))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                skip(number, str(error))
    return decoded


def _values(rows: Sequence[Any], path: str) -> list[str | None]:
    get = getter(path)
    return [_text(get(row)) for row in rows]


def _text(value: object) -> str | None:
    """Return a JSON value as text: numbers as they are written, a list joined by ","."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(filter(None, map(_text, value)))
    return str(value)
