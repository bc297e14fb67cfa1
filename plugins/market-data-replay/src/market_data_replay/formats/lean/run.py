"""One CSV file of a Lean archive as a run."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipInfo

import attrs

from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import Kind, Origin
from market_data_replay.formats.contract import UNSTAMPED, Chunk, Query, Tally
from market_data_replay.formats.lean.archive import Archive
from market_data_replay.formats.lean.layout import Market, TickType
from market_data_replay.formats.lean.rows import Arrays, Day, Words, quote_bars, quotes, trade_bars, trades
from market_data_replay.formats.lean.text import LeanText

if TYPE_CHECKING:
    from market_data_pipeline.model.columns import Columns

INTERVALS = {"second": 1_000_000_000, "minute": 60_000_000_000}
"""How long a bar lasts, ns."""

LINE = 32
"""Bytes of a line, roughly."""


@attrs.frozen(kw_only=True)
class LeanRun:
    """The rows of one symbol and day."""

    archive: Archive
    entry: ZipInfo
    symbol: str
    """As the rows carry it."""
    provider: str
    """The market: Lean says no more about who said it."""
    resolution: str
    tick_type: TickType
    layout: tuple[str, ...]
    market: Market
    day: Day
    query: Query

    @property
    def lower(self) -> int:
        """The day's first moment, int ns."""
        return self.day.start

    @property
    def size(self) -> int:
        """Bytes of text."""
        return self.entry.file_size

    def chunks(self, tally: Tally, rows: int) -> Generator[Chunk]:
        """Read the file.

        Yields:
            Its rows of the query's range.

        Raises:
            InvalidRequest: It is damaged, or its text is no such file.
        """
        where = f"{self.archive.path}/{self.entry.filename}"
        kind: Kind = self.tick_type if self.resolution == "tick" else "bar"
        origin = Origin(self.provider, "replay", UNSTAMPED, "live")
        text = LeanText(self.layout, self.market, partial(tally.skip, where))
        try:
            with self.archive.read(self.entry) as stream:
                for read, (arrays, words) in text.tables(stream, where, rows * LINE):
                    tally.read += read
                    columns = self._columns(arrays, words, tally)
                    if len(columns):
                        yield Chunk(kind, origin, columns)
        except (BadZipFile, EOFError, OSError, zlib.error) as error:
            raise InvalidRequest(f"{where} is damaged ({error}): replace or remove it", source="replay") from error

    def _columns(self, arrays: Arrays, words: Words, tally: Tally) -> Columns:
        times = self.day.times(arrays["ms"])
        query = self.query
        keep = query.holds(times)
        if "suspicious" in arrays and not query.suspicious:
            tally.suspicious += int((arrays["suspicious"] & keep).sum())
            keep &= ~arrays["suspicious"]
        if not keep.all():
            times, arrays = times[keep], {name: values[keep] for name, values in arrays.items()}
        if self.resolution != "tick":
            make = trade_bars if self.tick_type == "trade" else quote_bars
            return make(self.symbol, times, INTERVALS[self.resolution], arrays)
        if self.tick_type == "quote":
            return quotes(self.symbol, times, arrays)
        return trades(self.symbol, times, arrays, words)
