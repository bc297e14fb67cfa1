"""From Lean's folders to runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import attrs

from market_data_pipeline.errors import InvalidRequest, UnknownSymbol, nearest
from market_data_replay.formats.contract import Finding, Query
from market_data_replay.formats.lean.archive import Archive
from market_data_replay.formats.lean.layout import CONTRACTS, Market, TickType, find_layout, find_market
from market_data_replay.formats.lean.rows import Day
from market_data_replay.formats.lean.run import LeanRun
from market_data_replay.settings import Resolution

RESOLUTIONS: tuple[Resolution, ...] = ("tick", "second", "minute")
"""From the finest."""

_PLACE = re.compile(
    r"(?P<asset>[^/]+)/(?P<market>[^/]+)/(?P<resolution>tick|second|minute)/(?P<folder>[^/]+)/"
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)_(?P<tick_type>trade|quote)(_(american|european))?\.zip",
    re.IGNORECASE,
)


@attrs.frozen(kw_only=True)
class LeanFile:
    """One zip file, and what its path says."""

    path: Path
    asset: str
    market: str
    resolution: Resolution
    folder: str
    """The symbol, or what its contracts are about, in capitals."""
    tick_type: TickType
    day: date

    @classmethod
    def of(cls, path: Path) -> LeanFile | None:
        """Read a path; None if it is not one of Lean's with quotes or trades."""
        match = _PLACE.fullmatch("/".join(path.absolute().parts[-5:]))
        if match is None:
            return None
        try:
            day = date(int(match["year"]), int(match["month"]), int(match["day"]))
        except ValueError:
            return None
        words = {name: match[name].lower() for name in ("asset", "market", "resolution", "tick_type")}
        return cls(path=path, folder=match["folder"].upper(), day=day, **words)  # type: ignore[arg-type]

    @property
    def kind(self) -> Literal["quote", "trade", "bar"]:
        """Of its rows."""
        return self.tick_type if self.resolution == "tick" else "bar"

    def may_hold(self, symbol: str) -> bool:
        """Whether the symbol, in capitals, can be in it."""
        return symbol == self.folder or (self.asset in CONTRACTS and symbol.startswith(f"{self.folder}_"))

    def symbol(self, entry: str) -> str:
        """Return the symbol of a file in it, in capitals: that of a contract ends with its terms."""
        if self.asset not in CONTRACTS:
            return self.folder
        known = rf"^\d+_|_{self.resolution}_{self.tick_type}|\.csv$"
        return re.sub(known, "", Path(entry).name, flags=re.IGNORECASE).upper()


class LeanFormat:
    """QuantConnect Lean's data folder, or a part of it."""

    suffixes = (".zip",)

    def find(self, files: Sequence[Path], query: Query) -> Finding:
        """Find the runs of a query; see `Format.find`.

        Returns:
            The runs by path, and the symbols without any.

        Raises:
            InvalidRequest: The files are not Lean's, or have no such rows.
            UnknownSymbol: They have none of the symbols.
        """
        known = [one for one in map(LeanFile.of, files) if one]
        if not known:
            raise InvalidRequest(
                f"{files[0]} is not where Lean keeps it: a path ends with "
                "ASSET/MARKET/RESOLUTION/SYMBOL/YYYYMMDD_trade.zip (or _quote.zip), and tells zone and price scale",
                source="replay",
            )
        asked = {symbol.upper(): symbol for symbol in query.symbols}
        there = [one for one in known if not asked or any(map(one.may_hold, asked))]
        if not there:
            raise UnknownSymbol(_unknown(query, query.symbols, {one.folder for one in known}), source="replay")
        chosen = _choose(there, query)
        runs = [run for one in _in_range(chosen, query) for run in _runs(one, asked, query)]
        found = {run.symbol for run in runs}
        missing = [symbol for symbol in query.symbols if symbol not in found]
        known_symbols = {name for one in chosen for name in _symbols(one)} if missing else ()
        if not runs:
            raise UnknownSymbol(_unknown(query, missing, known_symbols), source="replay")
        return Finding(runs=runs, missing={symbol: _unknown(query, [symbol], known_symbols) for symbol in missing})


LEAN = LeanFormat()


def _choose(there: Iterable[LeanFile], query: Query) -> list[LeanFile]:
    """Return the files of the wanted kinds in the wanted resolution, or in the finest that has any."""
    there = list(there)
    for resolution in [query.resolution] if query.resolution else RESOLUTIONS:
        if chosen := [one for one in there if one.resolution == resolution and one.kind in query.kinds]:
            return chosen
    has = ", ".join(sorted({f"{one.kind} ({one.resolution})" for one in there}))
    at = f" of resolution {query.resolution}" if query.resolution else ""
    raise InvalidRequest(
        f"no {query.wanted}{at} in {query.path}: it has {has}; ask for other kinds or another resolution",
        source="replay",
    )


def _in_range(files: Sequence[LeanFile], query: Query) -> list[LeanFile]:
    inside = []
    for one in files:
        day = Day(one.day, _market(one).zone)
        if (query.end is None or day.start < query.end) and (query.start is None or query.start < day.end):
            inside.append(one)
    if not inside:
        days = sorted(one.day.isoformat() for one in files)
        raise InvalidRequest(
            f"no {query.wanted} between start and end in {query.path}: it has the days {days[0]} to {days[-1]}",
            source="replay",
        )
    return inside


def _runs(one: LeanFile, asked: dict[str, str], query: Query) -> list[LeanRun]:
    layout = find_layout(one.asset, one.resolution, one.tick_type)
    if layout is None:
        raise InvalidRequest(
            f"{one.path}: the columns of {one.asset} {one.tick_type} ticks are not known here; play another resolution",
            source="replay",
        )
    archive = Archive(one.path)
    market = _market(one)
    day = Day(one.day, market.zone)
    runs = [
        LeanRun(
            archive=archive,
            entry=entry,
            symbol=asked.get(symbol, symbol),
            provider=one.market,
            resolution=one.resolution,
            tick_type=one.tick_type,
            layout=layout,
            market=market,
            day=day,
            query=query,
        )
        for entry in archive.entries()
        if (symbol := one.symbol(entry.filename)) in asked or not asked
    ]
    archive.readers = len(runs)
    return runs


def _symbols(one: LeanFile) -> set[str]:
    if one.asset not in CONTRACTS:
        return {one.folder}
    return {one.symbol(entry.filename) for entry in Archive(one.path).entries()}


def _market(one: LeanFile) -> Market:
    market = find_market(one.asset, one.market)
    if market is None:
        raise InvalidRequest(
            f"{one.path}: the time zone and price scale of {one.asset}/{one.market} are not known here", source="replay"
        )
    return market


def _unknown(query: Query, symbols: Sequence[str], known: Iterable[str]) -> str:
    names = ", ".join(symbols)
    return f"no {names} in {query.path}: {nearest(names.upper(), known)}"
