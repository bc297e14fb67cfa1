"""A question about the bars of a dataset: what it leaves open is what there is, or a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from market_data_pipeline.dataset.folders import Folder, intervals
from market_data_pipeline.dataset.search import Search
from market_data_pipeline.dataset.series import find_series
from market_data_pipeline.errors import ConfigurationError, nearest
from market_data_pipeline.model import Bar, Basis, format_interval

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
        symbols = self.symbols or _only_symbol(chosen)
        interval = self.interval or there
        search = Search(symbols, there, interval, self.basis, self.start, self.end, self.last)
        found = {
            (symbol, provider, basis): Found(tuple(bars), None if there == interval else there)
            for provider, reader in readers(chosen).items()
            for (symbol, basis), bars in search.newest(reader).items()
        }
        _check(symbols, {symbol for symbol, *_ in found}, folders, there)
        return [found[key] for key in sorted(found)]

    def _of_provider(self, folders: Sequence[Folder]) -> Sequence[Folder]:
        if self.provider is None:
            return folders
        chosen = [folder for folder in folders if folder.provider == self.provider]
        if not chosen:
            known = {folder.provider for folder in folders}
            raise ConfigurationError(
                f"no bars are from {self.provider!r}; {nearest(self.provider, known)}", where="provider"
            )
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
            raise ConfigurationError(
                f"there are no bars of {asked}, nor such as make them up: {named}", where="interval"
            )
        return fitting[-1]


def _only_symbol(folders: Sequence[Folder]) -> tuple[str]:
    symbols = sorted({one.symbol for one in find_series(folders)})
    if len(symbols) == 1:
        return (symbols[0],)
    named = ", ".join(symbols[:_NAMED]) + (", …" if len(symbols) > _NAMED else "")
    raise ConfigurationError(f"there are bars of {len(symbols)} symbols, {named}: name some of them", where="symbol")


def _check(symbols: Iterable[str], found: set[str], folders: Sequence[Folder], there: int) -> None:
    """Say of a symbol without bars where it has some.

    Raises:
        ConfigurationError: There is one.
    """
    for symbol in symbols:
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
