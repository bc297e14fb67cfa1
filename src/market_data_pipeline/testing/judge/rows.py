"""What a row tells of itself: types, sentinels, bounds, and the shape of a bar."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import isfinite
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from market_data_pipeline.model import MAX_PX, SCALE, Bar, Quote, Row, Trade

FIRST_NS: Final = 10**17
"""Earlier times, before 1973-03, are taken for other units."""

Finding = tuple[str, str]
"""The name of a rule, and what was seen."""

SIZES: Final = frozenset({"bid_size", "ask_size", "size", "volume", "trades", "open_interest", "multiplier"})


def row_findings(row: Row) -> Iterator[Finding]:
    """Yield what is wrong with a row alone; where its types are, nothing else is looked at."""
    if wrong := list(type_findings(row)):
        yield from wrong
        return
    yield from value_findings(row)
    if min(row.ts_event, row.ts_recv) < FIRST_NS:
        yield "time-unit", f"ts_event={row.ts_event}, ts_recv={row.ts_recv}"
    if isinstance(row, Bar):
        yield from _bar_findings(row)


def type_findings(record: msgspec.Struct) -> Iterator[Finding]:
    """Yield the fields that have another type than their class declares."""
    for name, (kinds, words) in _fields(type(record)).items():
        value = getattr(record, name)
        if not (isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))):
            yield "type", f"{name} is the {type(value).__name__} {value!r:.40}"
        elif words and value is not None and value not in words:
            yield "type", f"{name} is {value!r:.40}, not one of {', '.join(words)}"


def value_findings(record: msgspec.Struct) -> Iterator[Finding]:
    """Yield sentinels, and prices beyond the bound."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if value is None:
            continue
        if (isinstance(value, float) and not isfinite(value)) or (name in SIZES and value < 0):
            yield "sentinel", f"{name}={value}"
        elif name.endswith("px") and abs(value) > MAX_PX:
            yield "price-bound", f"{name}={value}"
    if _is_priced_minus_one(record):
        yield "sentinel", f"a price of -1 for none: {record!r:.120}"


def _is_priced_minus_one(record: msgspec.Struct) -> bool:
    """Return whether -1 stands for a missing price: on both sides of a quote, or where there is no size."""
    if isinstance(record, Trade):
        return record.px == -SCALE and not record.size
    if not isinstance(record, Quote):
        return False
    bid, ask = record.bid_px == -SCALE, record.ask_px == -SCALE
    return (bid and ask) or (bid and not record.bid_size) or (ask and not record.ask_size)


def _bar_findings(bar: Bar) -> Iterator[Finding]:
    if not bar.start < bar.end == bar.ts_event:
        yield "bar-shape", f"start={bar.start}, end={bar.end}, ts_event={bar.ts_event}"
    low, high = min(bar.open_px, bar.close_px), max(bar.open_px, bar.close_px)
    if not bar.low_px <= low <= high <= bar.high_px:
        yield "bar-shape", f"open={bar.open}, high={bar.high}, low={bar.low}, close={bar.close}"


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, tuple[tuple[type, ...], tuple[str, ...]]]:
    """Return the types that each field may have, and its words where it is a Literal."""
    hints = get_type_hints(struct)
    return {name: _allowed(hints[name]) for name in struct.__struct_fields__}


def _allowed(hint: Any) -> tuple[tuple[type, ...], tuple[str, ...]]:
    if get_origin(hint) is Literal:
        return (str,), get_args(hint)
    if isinstance(hint, UnionType) or get_origin(hint) not in {None, type}:
        parts = [_allowed(part) for part in get_args(hint)]
        return sum((kinds for kinds, _ in parts), ()), sum((words for _, words in parts), ())
    return ((float, int) if hint is float else (hint,)), ()
