"""Rows as lines of text: JSON with the names of our files, and a form for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import repeat
from operator import attrgetter
from typing import Any

import msgspec

from market_data_pipeline.contracts import SECOND_NS
from market_data_pipeline.model import Bar, Batch, Kind, Quote, Row, Trade, format_interval, to_text
from market_data_pipeline.model.names import LEADING, file_name, is_price, own_fields
from market_data_pipeline.model.rows import ABSENT

_encoder = msgspec.json.Encoder()


@cache
def _line(kind: Kind) -> Callable[..., msgspec.Struct]:
    """Return what makes the line of a row out of the values of `_fields`."""
    return msgspec.defstruct(
        f"{kind}_line", [("kind", str), *((file_name(name), Any) for name in _fields(kind))], gc=False
    )


@cache
def _fields(kind: Kind) -> tuple[str, ...]:
    return (*(name for name in LEADING if name != "time"), *own_fields(kind))


@lru_cache(maxsize=65_536)
def _number(px: int | None) -> msgspec.Raw:
    """Return a price as an exact JSON number; few prices are new."""
    return msgspec.Raw(b"null" if px is None else to_text(px).encode())


def json_lines(batch: Batch[Row]) -> bytes:
    """Return one JSON object a row, each with its newline: prices as exact numbers, times as int nanoseconds."""
    columns: list[Iterable[Any]] = [repeat(batch.kind)]
    for name in _fields(batch.kind):
        if hasattr(batch.origin, name):
            columns.append(repeat(getattr(batch.origin, name)))
        else:
            values = map(attrgetter(name), batch.rows)
            if is_price(name):
                values = map(_number, values)
            elif name == "flags":
                values = map((~ABSENT).__and__, values)
            columns.append(values)
    return _encoder.encode_lines(list(map(_line(batch.kind), *columns)))


def text_lines(batch: Batch[Row]) -> str:
    """Return one line a row for people, each with its newline."""
    return "".join(f"{_time(row.ts_event)}  {row.symbol:<10} {_text(row)}\n" for row in batch.rows)


def _text(row: Row) -> str:
    match row:
        case Quote():
            return (
                f"quote  bid {_px(row.bid_px)} x {_size(row.bid_size)}  ask {_px(row.ask_px)} x {_size(row.ask_size)}"
            )
        case Trade():
            return " ".join(filter(None, (f"trade  {_px(row.px)} x {_size(row.size)}", row.side, row.conditions)))
        case Bar():
            prices = f"open {_px(row.open_px)} high {_px(row.high_px)} low {_px(row.low_px)} close {_px(row.close_px)}"
            state = ("" if row.is_final else " provisional") + ("" if row.complete else " incomplete")
            interval = format_interval(row.end - row.start)
            return f"bar {interval}  {prices} volume {_size(row.volume)} trades {row.trades}{state}"
    raise TypeError(f"{type(row).__name__} is no row")


def _px(px: int | None) -> str:
    return "-" if px is None else to_text(px)


def _size(size: float | None) -> str:
    return "-" if size is None else f"{size:.15g}"


def _time(nanos: int) -> str:
    """Return a time as ISO 8601 in UTC, with as many decimals as it needs, in threes."""
    seconds, part = divmod(nanos, SECOND_NS)
    decimals = f"{part:09d}"
    while decimals.endswith("000"):
        decimals = decimals[:-3]
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{'.' if decimals else ''}{decimals}Z"
