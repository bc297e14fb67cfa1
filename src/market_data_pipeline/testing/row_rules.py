"""What holds for each row by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

from market_data_pipeline.model import MAX_PX, Bar, Batch, Flag, Quote, Row, Trade

Finding: TypeAlias = tuple[str, str | None, str, str]
"""Code, symbol, what was seen, what to do."""

LATEST_NS = 2**62
"""No real row is later, int ns: in 2116."""
EARLIEST_NS = 10**16
"""No real row is earlier, int ns: a time in microseconds or coarser lies before it."""


def judge_row(row: Row, batch: Batch[Row], *, negative_prices: bool) -> Iterator[Finding]:
    """Yield what is wrong with one row."""
    if row.origin != batch.origin:
        yield "origin", row.symbol, f"{row.origin} in a batch of {batch.origin}", "make one batch per origin"
    yield from _times(row)
    for name, px in _prices(row):
        yield from _price(row, name, px, negative_prices=negative_prices)
    for name, size in _sizes(row):
        if isinstance(size, bool) or not isinstance(size, int | float) or not math.isfinite(size) or size < 0:
            yield "sentinel", row.symbol, f"{name} is {size!r}", "what is missing is None"
    if isinstance(row, Bar):
        yield from _bar(row)


def _times(row: Row) -> Iterator[Finding]:
    for name, time in (("ts_event", row.ts_event), ("ts_recv", row.ts_recv)):
        if type(time) is not int or not EARLIEST_NS <= time <= LATEST_NS:
            yield "time", row.symbol, f"{name} is {time!r}", "give int nanoseconds since the epoch, UTC"
    same = Flag.TS_EVENT_IS_RECV | Flag.TS_RECV_IS_EVENT
    if row.flags & same and row.ts_event != row.ts_recv:
        yield "flags", row.symbol, "flagged as one time, and they are two", "set both times alike, or no such flag"


def _price(row: Row, name: str, px: object, *, negative_prices: bool) -> Iterator[Finding]:
    if isinstance(px, float) and not math.isfinite(px):
        yield "sentinel", row.symbol, f"{name} is {px}", "what is missing is None"
    elif type(px) is not int or abs(px) > MAX_PX:
        yield "price", row.symbol, f"{name} is {px!r}", "make it with model.to_px"
    elif px < 0 and not negative_prices:
        cure = "what is missing is None; where prices can be negative, set negative_prices"
        yield "sentinel", row.symbol, f"{name} is {px}", cure


def _bar(bar: Bar) -> Iterator[Finding]:
    if not bar.start < bar.end == bar.ts_event:
        yield "bar", bar.symbol, f"[{bar.start}, {bar.end}) at {bar.ts_event}", "start < end, and ts_event is the end"
    prices = [bar.open_px, bar.high_px, bar.low_px, bar.close_px]
    if not bar.low_px == min(prices) <= max(prices) == bar.high_px:
        yield "bar", bar.symbol, f"low {bar.low_px}, high {bar.high_px} of {prices}", "low and high hold all prices"


def _prices(row: Row) -> list[tuple[str, object]]:
    if isinstance(row, Quote):
        named = {"bid_px": row.bid_px, "ask_px": row.ask_px}
        return [(name, px) for name, px in named.items() if px is not None]
    if isinstance(row, Trade):
        return [("px", row.px)]
    return [(name, getattr(row, name)) for name in ("open_px", "high_px", "low_px", "close_px")]


def _sizes(row: Row) -> list[tuple[str, object]]:
    names = {"quote": ("bid_size", "ask_size"), "trade": ("size",), "bar": ("volume",)}[row.kind]
    return [(name, size) for name in names if (size := getattr(row, name)) is not None]
