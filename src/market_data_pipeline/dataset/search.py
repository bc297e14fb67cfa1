"""The newest bars of some symbols: read backwards, a window at a time, until there are enough."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import attrs

from market_data_pipeline.dataset.folders import DAY_NS
from market_data_pipeline.model import Bar, BarBatch, Basis, StreamItem, Watermark

if TYPE_CHECKING:
    from market_data_pipeline.dataset.reader import BarReader, Bars

Lists = dict[tuple[str, Basis], list[Bar]]
"""By symbol and basis, oldest first."""


@attrs.frozen
class Search:
    """What to look for in the files of one provider; the fields are those of `BarQuery`."""

    symbols: tuple[str, ...]
    there: int
    """The interval of the bars in the files, int ns."""
    interval: int
    """That of the bars to return."""
    basis: Basis | None
    start: int | None
    end: int | None
    last: int

    def newest(self, reader: BarReader) -> Lists:
        """Return the last bars of every symbol and basis, in windows that double from what would do without gaps."""
        interval = self.interval
        newest = reader.newest()
        bars: Lists = {}
        end = _ceil(newest if self.end is None else min(newest, self.end), interval)
        span = interval * self.last
        while (day := reader.before(end)) is not None and not self._enough(bars):
            end = min(end, _ceil((day + 1) * DAY_NS, interval))
            start = end - span if self.start is None else max(end - span, _ceil(self.start, interval))
            if start >= end:
                break
            for key, more in self._window(reader, start, end, newest).items():
                bars[key] = (more + bars.get(key, []))[-self.last :]
            end, span = start, max(span, min(2 * span, DAY_NS))
        return bars

    def _enough(self, bars: Lists) -> bool:
        found = {symbol for symbol, _ in bars}
        return found.issuperset(self.symbols) and all(len(own) >= self.last for own in bars.values())

    def _window(self, reader: BarReader, start: int, end: int, newest: int) -> Lists:
        if self.interval == self.there:
            found = reader.read(start, end, self.symbols, self.basis)
            return {key: [own[at] for at in sorted(own)] for key, own in found.items()}
        pieces = (reader.read(at, min(end, at + DAY_NS), self.symbols, self.basis) for at in range(start, end, DAY_NS))
        return self._resampled(pieces, newest)

    def _resampled(self, pieces: Iterable[Bars], newest: int) -> Lists:
        """Make longer bars; those are provisional that reach beyond the newest bar there is."""
        from market_data_pipeline.operator import SecondBarAggregator

        makers: dict[Basis, SecondBarAggregator] = {}
        for piece in pieces:
            for (_, basis), own in piece.items():
                maker = makers.setdefault(basis, SecondBarAggregator(interval=self.interval, basis=basis))
                rows = (own[at] for at in sorted(own))
                for _, run in groupby(rows, key=attrgetter("origin")):
                    maker.on_batch(BarBatch(run))
        found: Lists = {}
        for maker in makers.values():
            watermark = Watermark(source="dataset", ts=newest, ts_event=newest + 1)
            for bar in _bars((*maker.on_control(watermark).items, *maker.finish().items)):
                found.setdefault((bar.symbol, bar.basis), []).append(bar)
        return found


def _bars(items: Iterable[StreamItem]) -> Iterable[Bar]:
    return (bar for item in items if isinstance(item, BarBatch) for bar in item.rows)


def _ceil(time: int, interval: int) -> int:
    return -(-time // interval) * interval
