"""Rows to bars, one object at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import cast

from market_data_pipeline.model import (
    SCALE,
    Bar,
    BarBatch,
    Basis,
    Batch,
    Flag,
    Quote,
    QuoteBatch,
    Row,
    Trade,
    TradeBatch,
)
from market_data_pipeline.operator.gaps import Gaps
from market_data_pipeline.operator.open_bar import INCOMPLETE, KEPT, PROVISIONAL, OpenBar
from market_data_pipeline.operator.resample import check_fit

_INEXACT = int(Flag.INEXACT_PX)


class RowFold:
    """The open bars as objects, for batches that are born with rows."""

    born = "rows"

    def __init__(self, interval: int, basis: Basis, bars: Iterable[OpenBar] = ()) -> None:
        self._interval = interval
        self._basis = basis
        self._open: dict[int, dict[str, OpenBar]] = {}
        """By start and symbol."""
        self._latest: dict[str, OpenBar] = {}
        """Of each symbol, the bar that the last row went into: most often that of the next row too."""
        for bar in bars:
            self._open.setdefault(bar.start, {})[bar.symbol] = bar

    def dump(self) -> list[OpenBar]:
        """Return the open bars."""
        return [bar for bars in self._open.values() for bar in bars.values()]

    def fold(self, batch: Batch[Row], closed: int) -> int:
        """Take rows in; those without a price of this basis are left out, and those that came after their bar.

        Returns:
            How many were taken in.

        Raises:
            OperatorError: A bar does not fit into the interval.
        """
        if isinstance(batch, TradeBatch):
            return self._fold_trades(batch.rows, closed)
        if isinstance(batch, QuoteBatch):
            return self._fold_quotes(batch.rows, closed)
        return self._fold_bars(cast("tuple[Bar, ...]", batch.rows), closed)

    # The next two differ in little, and share nothing: a call for each row would cost as much as what it does.

    def _fold_trades(self, rows: Sequence[Trade], closed: int) -> int:
        latest = self._latest
        left_out = 0
        for row in rows:
            px, ts_event = row.px, row.ts_event
            bar = latest.get(row.symbol)
            if bar is not None and bar.close_ts <= ts_event < bar.end:
                bar.close_ts = ts_event
                bar.close_px = px
                bar.last = row
            else:
                bar = self._place(row, ts_event, closed, (px, px, px, px))
                if bar is None:
                    left_out += 1
                    continue
            if px > bar.high_px:
                bar.high_px = px
            elif px < bar.low_px:
                bar.low_px = px
            if size := row.size:
                bar.volume += size
                bar.notional += px / 1 * size  # a division is the fastest way to the float nearest to an int
            if row.flags:
                bar.flags |= row.flags
            bar.trades += 1
        return len(rows) - left_out

    def _fold_quotes(self, rows: Sequence[Quote], closed: int) -> int:
        latest = self._latest
        price, mid = _PRICES[self._basis], self._basis == "mid"
        left_out = 0
        for row in rows:
            px, ts_event = price(row), row.ts_event
            if px is None:
                left_out += 1
                continue
            bar = latest.get(row.symbol)
            if bar is not None and bar.close_ts <= ts_event < bar.end:
                bar.close_ts = ts_event
                bar.close_px = px
                bar.last = row
            else:
                bar = self._place(row, ts_event, closed, (px, px, px, px))
                if bar is None:
                    left_out += 1
                    continue
            if px > bar.high_px:
                bar.high_px = px
            elif px < bar.low_px:
                bar.low_px = px
            if mid and (row.bid_px ^ row.ask_px) & 1:  # type: ignore[operator]  # a mid has both
                bar.flags |= _INEXACT
            if row.flags:
                bar.flags |= row.flags
            bar.trades += 1
        return len(rows) - left_out

    def _fold_bars(self, rows: Sequence[Bar], closed: int) -> int:
        taken = 0
        for row in rows:
            if row.basis != self._basis:
                continue
            check_fit(row.start, row.end, self._interval)
            bar = self._place(row, row.start, closed, (row.open_px, row.high_px, row.low_px, row.close_px))
            if bar is None:
                continue
            bar.high_px = max(bar.high_px, row.high_px)
            bar.low_px = min(bar.low_px, row.low_px)
            if row.volume:
                bar.volume += row.volume
                bar.notional += math.nan if row.vwap is None else row.vwap * SCALE * row.volume
            bar.flags |= row.flags | PROVISIONAL * (not row.is_final) | INCOMPLETE * (not row.complete)
            bar.trades += row.trades
            taken += 1
        return taken

    def _place(self, row: Row, at: int, closed: int, prices: tuple[int, int, int, int]) -> OpenBar | None:
        """Find or begin the bar of the time `at`, and let the row open or close it if its time is the first or last.

        `prices` are the row's open, high, low and close, of which high and low count only if the bar begins.

        Returns:
            The bar; None if it was given out.
        """
        start, ts_event = at - at % self._interval, row.ts_event
        open_px, high_px, low_px, close_px = prices
        bars = self._open.get(start)
        if bars is None:
            if start < closed:
                return None
            bars = self._open.setdefault(start, {})
        bar = bars.get(row.symbol)
        if bar is None:
            end = start + self._interval
            bar = OpenBar(row.symbol, start, end, ts_event, open_px, high_px, low_px, ts_event, close_px, row)
            bars[row.symbol] = bar
        elif ts_event >= bar.close_ts:
            bar.close_ts = ts_event
            bar.close_px = close_px
            bar.last = row
        elif ts_event < bar.open_ts:
            bar.open_ts = ts_event
            bar.open_px = open_px
        self._latest[row.symbol] = bar
        return bar

    def close(self, before: int | None, gaps: Gaps) -> list[BarBatch]:
        """Give out the bars that start before a time as final; None: all of them, as provisional.

        Returns:
            The bars by start and symbol, one batch for each run of one origin.
        """
        due = sorted(start for start in self._open if before is None or start < before)
        self._latest.clear()  # some of them go; the others are found again
        final, some = before is not None, bool(gaps)
        bars = [
            _closed(bar, self._basis, final=final, gap=some and gaps.touch(bar.symbol, bar.start, bar.end))
            for start in due
            for _, bar in sorted(self._open.pop(start).items())
        ]
        return [BarBatch(run) for _, run in groupby(bars, key=attrgetter("origin"))]


def _closed(bar: OpenBar, basis: Basis, *, final: bool, gap: bool) -> Bar:
    last = bar.last
    flags = bar.flags
    return Bar(
        bar.symbol,
        bar.end,
        last.ts_recv,
        last.ordinal,
        flags & KEPT,
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
        is_final=final and not flags & PROVISIONAL,
        complete=not (gap or flags & INCOMPLETE),
    )


def _mid(quote: Quote) -> int | None:
    """Return half of bid plus ask, of two equally near ones the even."""
    if quote.bid_px is None or quote.ask_px is None:
        return None
    both = quote.bid_px + quote.ask_px
    half = both >> 1
    return half + (both & 1 & half)


_PRICES: dict[Basis, Callable[[Quote], int | None]] = {
    "bid": attrgetter("bid_px"),
    "ask": attrgetter("ask_px"),
    "mid": _mid,
}
