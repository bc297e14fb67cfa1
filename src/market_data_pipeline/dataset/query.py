"""The newest bars of some symbols: read backwards, a window at a time, until there are enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import attrs

from market_data_pipeline.dataset.folders import DAY_NS, Folder, intervals
from market_data_pipeline.dataset.series import find_series
from market_data_pipeline.errors import ConfigurationError, nearest
from market_data_pipeline.model import Bar, BarBatch, Basis, StreamItem, Watermark, format_interval

if TYPE_CHECKING:
    from market_data_pipeline.dataset.reader import BarReader, Bars

_NAMED = 8
"""So many symbols are named in a message."""


@attrs.frozen
class Found:
    """Bars of one symbol, provider and basis, oldest first."""

    bars: tuple[Bar, ...]
    made_from: int | None
    """The interval of the bars in the files, int ns, where these were made from them."""


@attrs.frozen(kw_only=True)
class BarQuery:
    """A question: None asks for what there is, and is a mistake where there are several."""

    symbols: tuple[str, ...] = ()
    """Empty: the only symbol that there is."""
    interval: int | None = None
    """Int ns; made from shorter bars where there are none."""
    provider: str | None = None
    """None: each of them."""
    basis: Basis | None = None
    """None: each of them."""
    start: int | None = None
    """No bar begins earlier, int ns."""
    end: int | None = None
    """Every bar begins earlier, int ns."""
    last: int = 20
    """At most so many of each symbol, the newest."""

    def run(self, folders: Sequence[Folder]) -> list[Found]:
        """Return the bars, by symbol, provider and basis.

        Raises:
            ConfigurationError: There are none, or the question has several answers; the message says what there is.
            MalformedMessage: A file cannot be read.
        """
        from market_data_pipeline.dataset.reader import readers

        folders = self._of_provider(folders)
        there = self._interval_of_files(folders)
        chosen = [folder for folder in folders if folder.interval == there]
        query = attrs.evolve(self, interval=self.interval or there, symbols=self.symbols or _only_symbol(chosen))
        found = [
            (symbol, provider, basis, Found(tuple(bars), None if there == query.interval else there))
            for provider, reader in readers(chosen).items()
            for (symbol, basis), bars in query._newest(reader, there).items()
        ]
        query._check_symbols({symbol for symbol, *_ in found}, folders, there)
        return [one for *_, one in sorted(found, key=lambda key: key[:3])]

    def _of_provider(self, folders: Sequence[Folder]) -> Sequence[Folder]:
        if self.provider is None:
            return folders
        chosen = [folder for folder in folders if folder.provider == self.provider]
        if not chosen:
            known = {folder.provider for folder in folders}
            raise ConfigurationError(f"no bars are from {self.provider!r}; {nearest(self.provider, known)}", where="provider")
        return chosen

    def _interval_of_files(self, folders: Sequence[Folder]) -> int:
        """Return the interval of the bars to read: the one asked for, or the longest that makes it up."""
        there = intervals(folders)
        if self.interval is None and len(there) == 1:
            return there[0]
        named = ", ".join(map(format_interval, there))
        if self.interval is None:
            raise ConfigurationError(f"there are bars of {named}: name one of them", where="interval")
        fitting = [one for one in there if self.interval % one == 0]
        if not fitting:
            asked = format_interval(self.interval)
            raise ConfigurationError(f"there are no bars of {asked}, nor such as make them up: {named}", where="interval")
        return fitting[-1]

    def _check_symbols(self, found: set[str], folders: Sequence[Folder], there: int) -> None:
        """Say of a symbol without bars where it has some.

        Raises:
            ConfigurationError: There is one.
        """
        for symbol in self.symbols:
            if symbol in found:
                continue
            series = find_series(folders)
            own = [one for one in series if one.symbol == symbol]
            if not own:
                known = nearest(symbol, {one.symbol for one in series})
                raise ConfigurationError(f"there are no bars of {symbol!r}; {known}", where="symbol")
            have = ", ".join(f"{format_interval(one.interval)} of {one.basis} prices from {one.provider}" for one in own)
            when = " in that time" if any(one.interval == there for one in own) else ""
            raise ConfigurationError(f"{symbol} has no such bars{when}; it has {have}", where="symbol")

    # --- reading ------------------------------------------------------------------------------------------------

    def _newest(self, reader: BarReader, there: int) -> dict[tuple[str, Basis], list[Bar]]:
        """Return the last bars of every symbol and basis, in windows that double from what would do without gaps."""
        interval = self.interval or there
        newest = reader.newest()
        bars: dict[tuple[str, Basis], list[Bar]] = {}
        end = _ceil(newest if self.end is None else min(newest, self.end), interval)
        span = interval * self.last
        while (day := reader.before(end)) is not None and not self._enough(bars):
            end = min(end, _ceil((day + 1) * DAY_NS, interval))
            start = end - span if self.start is None else max(end - span, _ceil(self.start, interval))
            if start >= end:
                break
            for key, more in self._window(reader, start, end, newest, resample=interval != there).items():
                bars[key] = (more + bars.get(key, []))[-self.last :]
            end, span = start, max(span, min(2 * span, DAY_NS))
        return bars

    def _enough(self, bars: dict[tuple[str, Basis], list[Bar]]) -> bool:
        found = {symbol for symbol, _ in bars}
        return found.issuperset(self.symbols) and all(len(own) >= self.last for own in bars.values())

    def _window(
        self, reader: BarReader, start: int, end: int, newest: int, *, resample: bool
    ) -> dict[tuple[str, Basis], list[Bar]]:
        if not resample:
            found = reader.read(start, end, self.symbols, self.basis)
            return {key: [own[at] for at in sorted(own)] for key, own in found.items()}
        pieces = (
            reader.read(at, min(end, at + DAY_NS), self.symbols, self.basis) for at in range(start, end, DAY_NS)
        )
        return self._resampled(pieces, newest)

    def _resampled(self, pieces: Iterable[Bars], newest: int) -> dict[tuple[str, Basis], list[Bar]]:
        """Make longer bars; those are provisional that reach beyond the newest bar there is."""
        from market_data_pipeline.operator import SecondBarAggregator

        makers: dict[Basis, SecondBarAggregator] = {}
        for piece in pieces:
            for (_, basis), own in piece.items():
                maker = makers.setdefault(basis, SecondBarAggregator(interval=self.interval, basis=basis))
                rows = (own[at] for at in sorted(own))
                for _, run in groupby(rows, key=attrgetter("origin")):
                    maker.on_batch(BarBatch(run))
        found: dict[tuple[str, Basis], list[Bar]] = {}
        for maker in makers.values():
            watermark = Watermark(source="dataset", ts=newest, ts_event=newest + 1)
            for bar in _bars((*maker.on_control(watermark).items, *maker.finish().items)):
                found.setdefault((bar.symbol, bar.basis), []).append(bar)
        return found


def _bars(items: Iterable[StreamItem]) -> Iterable[Bar]:
    return (bar for item in items if isinstance(item, BarBatch) for bar in item.rows)


def _ceil(time: int, interval: int) -> int:
    return -(-time // interval) * interval


def _only_symbol(folders: Sequence[Folder]) -> tuple[str]:
    symbols = sorted({one.symbol for one in find_series(folders)})
    if len(symbols) == 1:
        return (symbols[0],)
    named = ", ".join(symbols[:_NAMED]) + (", …" if len(symbols) > _NAMED else "")
    raise ConfigurationError(f"there are bars of {len(symbols)} symbols, {named}: name some of them", where="symbol")
