"""Rows to bars, one object at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from market_data_pipeline.model import SCALE, Bar, BarBatch, Basis, Batch, Flag, Quote, Row
from market_data_pipeline.operator.gaps import Gaps
from market_data_pipeline.operator.open_bar import INCOMPLETE, KEPT, PROVISIONAL, OpenBar
from market_data_pipeline.operator.resample import check_fit


class RowFold:
    """The open bars as objects, for batches that are born with rows."""

    born = "rows"

    def __init__(self, interval: int, basis: Basis, bars: Iterable[OpenBar] = ()) -> None:
        self._interval = interval
        self._basis = basis
        self._open = {(bar.symbol, bar.start): bar for bar in bars}
        self._latest: dict[str, OpenBar] = {}
        """Of each symbol, the bar that the last row went into: most often that of the next row too."""

    def dump(self) -> list[OpenBar]:
        """Return the open bars."""
        return list(self._open.values())

    def fold(self, batch: Batch[Row], closed: int) -> int:
        """Take rows in; those without a price of this basis are left out, and those that came after their bar.

        Returns:
            How many were taken in.

        Raises:
            OperatorError: A bar does not fit into the interval.
        """
        if isinstance(batch, BarBatch):
            return sum(self._fold_bar(bar, closed) for bar in batch.rows if bar.basis == self._basis)
        return self._fold_ticks(batch.rows, closed)

    def _fold_ticks(self, rows: Sequence[Any], closed: int) -> int:  # noqa: C901 - a call costs more than a row
        trades, mid, price = self._basis == "trade", self._basis == "mid", _PRICES[self._basis]
        latest = self._latest
        skipped = 0
        for row in rows:
            px = row.px if trades else price(row)
            if px is None:
                skipped += 1
                continue
            ts_event = row.ts_event
            bar = latest.get(row.symbol)
            if bar is None or not bar.start <= ts_event < bar.end:
                bar = self._find(row, ts_event, closed, (px, px, px))
                if bar is None:
                    skipped += 1
                    continue
            if ts_event >= bar.close_ts:
                bar.close_ts = ts_event
                bar.close_px = px
                bar.last = row
            elif ts_event < bar.open_ts:
                bar.open_ts = ts_event
                bar.open_px = px
            if px > bar.high_px:
                bar.high_px = px
            elif px < bar.low_px:
                bar.low_px = px
            if trades:
                if size := row.size:
                    bar.volume += size
                    bar.notional += px * size
            elif mid and (row.bid_px + row.ask_px) & 1:
                bar.flags |= Flag.INEXACT_PX
            if row.flags:
                bar.flags |= row.flags
            bar.trades += 1
        return len(rows) - skipped

    def _fold_bar(self, row: Bar, closed: int) -> bool:
        check_fit(row.start, row.end, self._interval)
        bar = self._find(row, row.start, closed, (row.open_px, row.high_px, row.low_px))
        if bar is None:
            return False
        if row.ts_event >= bar.close_ts:
            bar.close_ts = row.ts_event
            bar.close_px = row.close_px
            bar.last = row
        elif row.ts_event < bar.open_ts:
            bar.open_ts = row.ts_event
            bar.open_px = row.open_px
        bar.high_px = max(bar.high_px, row.high_px)
        bar.low_px = min(bar.low_px, row.low_px)
        if row.volume:
            bar.volume += row.volume
            bar.notional += math.nan if row.vwap is None else row.vwap * SCALE * row.volume
        bar.flags |= row.flags | PROVISIONAL * (not row.is_final) | INCOMPLETE * (not row.complete)
        bar.trades += row.trades
        return True

    def _find(self, row: Row, at: int, closed: int, prices: tuple[int, int, int]) -> OpenBar | None:
        """Return the bar of the time `at`, opened with open, high and low if there is none; None if it is closed."""
        start = at - at % self._interval
        bar = self._open.get((row.symbol, start))
        if bar is None:
            if start < closed:
                return None
            ts_event = row.ts_event
            bar = OpenBar(row.symbol, start, start + self._interval, ts_event, *prices, ts_event, prices[0], row)
            self._open[row.symbol, start] = bar
        self._latest[row.symbol] = bar
        return bar

    def close(self, before: int | None, gaps: Gaps) -> list[BarBatch]:
        """Give out the bars that start before a time as final; None: all of them, as provisional.

        Returns:
            The bars by start and symbol, one batch for each run of one origin.
        """
        due = [bar for bar in self._open.values() if before is None or bar.start < before]
        due.sort(key=attrgetter("start", "symbol"))
        for bar in due:
            del self._open[bar.symbol, bar.start]
            if self._latest.get(bar.symbol) is bar:
                del self._latest[bar.symbol]
        bars = [_closed(bar, self._basis, gaps, final=before is not None) for bar in due]
        return [BarBatch(run) for _, run in groupby(bars, key=attrgetter("origin"))]


def _closed(bar: OpenBar, basis: Basis, gaps: Gaps, *, final: bool) -> Bar:
    last = bar.last
    return Bar(
        bar.symbol,
        bar.end,
        last.ts_recv,
        last.ordinal,
        bar.flags & KEPT,
        last.origin,
        bar.start,
        bar.end,
        bar.open_px,
        bar.high_px,
        bar.low_px,
        bar.close_px,
        bar.volume,
        bar.vwap,
        bar.trades,
        basis,
        is_final=final and not bar.flags & PROVISIONAL,
        complete=not bar.flags & INCOMPLETE and not (gaps and gaps.touch(bar.symbol, bar.start, bar.end)),
    )


def _mid(quote: Quote) -> int | None:
    """Return half of bid plus ask, of two equally near ones the even."""
    if quote.bid_px is None or quote.ask_px is None:
        return None
    both = quote.bid_px + quote.ask_px
    half = both >> 1
    return half + (both & 1 & half)


_PRICES: dict[Basis, Callable[[Any], int | None]] = {
    "trade": attrgetter("px"),
    "bid": attrgetter("bid_px"),
    "ask": attrgetter("ask_px"),
    "mid": _mid,
}
