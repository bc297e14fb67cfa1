"""Bars, and what there is in a dataset, as tables of text. Imported on first use: it needs rich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from market_data_pipeline.contracts import SECOND_NS
from market_data_pipeline.dataset import Found, Series
from market_data_pipeline.model import Bar, format_interval, to_decimal, to_text

_NUMBERS = ("open", "high", "low", "close", "volume", "vwap", "trades")
_MARKS = {"?": "provisional: more may come", "!": "incomplete: something of its time is missing"}


def bar_table(found: Found) -> RenderableType:
    """Return the bars of one symbol, oldest first, below a line that says which they are."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("start, UTC", no_wrap=True)
    for name in _NUMBERS:
        table.add_column(name, justify="right", overflow="fold")
    table.add_column()
    places = max(decimals(px) for bar in found.bars for px in _prices(bar))
    for bar in found.bars:
        table.add_row(when(bar.start), *_numbers(bar, places), marks(bar), style=None if bar.is_final else "dim")
    used = {mark for bar in found.bars for mark in marks(bar)}
    notes = [Text(f"{mark} {meaning}", style="dim") for mark, meaning in _MARKS.items() if mark in used]
    return Group(Text(title(found), style="bold"), table, *notes, "")


def title(found: Found) -> str:
    """Return which bars these are."""
    bar = found.bars[-1]
    made = "" if found.made_from is None else f", made from {format_interval(found.made_from)} bars"
    return f"{bar.symbol}  {format_interval(bar.end - bar.start)}  {bar.origin.provider}, {bar.basis} prices{made}"


def marks(bar: Bar) -> str:
    """Return what is special about a bar, in one letter each."""
    return "?" * (not bar.is_final) + "!" * (not bar.complete)


def list_table(found: Sequence[Series]) -> Table:
    """Return which bars there are."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("symbol", "interval", "provider", "prices"):
        table.add_column(name, overflow="fold")
    for name in ("first start, UTC", "last end, UTC"):
        table.add_column(name, no_wrap=True)
    table.add_column("bars", justify="right")
    for one in found:
        interval, bars = format_interval(one.interval), f"{one.rows:,}"
        table.add_row(one.symbol, interval, one.provider, one.basis, when(one.first), when(one.last), bars)
    return table


def when(nanos: int) -> str:
    """Return a time to the second, or with the decimals that it has."""
    seconds, part = divmod(nanos, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}{f'.{part:09d}'.rstrip('0') if part else ''}"


def decimals(px: int) -> int:
    """Return how many decimals an exact price has."""
    return len(to_text(px).partition(".")[2])


def fixed(px: int, places: int) -> str:
    """Return an exact price with so many decimals, which are enough for it."""
    return f"{to_decimal(px):.{places}f}"


def _prices(bar: Bar) -> tuple[int, int, int, int]:
    return bar.open_px, bar.high_px, bar.low_px, bar.close_px


def _numbers(bar: Bar, places: int) -> Iterable[str]:
    yield from (fixed(px, places) for px in _prices(bar))
    yield f"{bar.volume:.15g}"
    yield "-" if bar.vwap is None else f"{bar.vwap:.{places + 2}f}"
    yield f"{bar.trades}"
