"""Which of a file's columns are which of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from market_data_pipeline.errors import InvalidRequest, nearest
from market_data_pipeline.model import Kind
from market_data_replay.formats.contract import Query
from market_data_replay.formats.text.table import names_of
from market_data_replay.settings import ReplaySettings

T = TypeVar("T")

_PRICES = ("open", "high", "low", "close")


def check_mapping(settings: ReplaySettings, query: Query) -> Kind:
    """Return the kind of a file's rows.

    Raises:
        InvalidRequest: It is not said, not wanted, or has no such columns as the mapping names.
    """
    kind = settings.kind
    if kind is None:
        raise InvalidRequest(_wrong(query, "say with kind what the rows are: quote, trade or bar"), source="replay")
    if kind not in query.kinds:
        raise InvalidRequest(f"no {query.wanted} in {query.path}: it has {kind}; ask for other kinds", source="replay")
    known = names_of(kind)
    for name in settings.columns:
        if name not in known:
            raise InvalidRequest(
                _wrong(query, f"a {kind} has no column {name!r} that columns could name: {nearest(name, known)}"),
                source="replay",
            )
    return kind


def check_complete(kind: Kind, names: Iterable[str], settings: ReplaySettings, query: Query) -> None:
    """Check that there is all that a row needs, given our names of the columns that the file has.

    Raises:
        InvalidRequest: Something is missing.
    """
    has = set(names)
    if not has & {"symbol"} and settings.symbol is None:
        raise InvalidRequest(
            _wrong(
                query, "the rows have no symbol: name its column in columns, or say symbol, which then all rows have"
            ),
            source="replay",
        )
    if kind == "bar":
        needed = set(_PRICES)
        ends = has & {"end", "ts_event"}
        if not (("start" in has and ends) or (settings.interval and ("start" in has or ends))):
            raise InvalidRequest(
                _wrong(query, "a bar needs start and end in columns, or one of them and interval"), source="replay"
            )
    else:
        needed = {"ts_event"} | ({"price"} if kind == "trade" else set())
        if kind == "quote" and not has & {"bid", "ask"}:
            raise InvalidRequest(_wrong(query, "a quote needs bid or ask in columns"), source="replay")
    if lacking := sorted(needed - has):
        raise InvalidRequest(
            _wrong(query, f"a {kind} needs {', '.join(lacking)}: name the file's columns for that in columns"),
            source="replay",
        )


def place(wanted: Mapping[str, str], header: list[str] | None, width: int, query: Query) -> dict[str, int]:
    """Return the numbers of a CSV file's columns, by the keys of `wanted`, whose values are their names or numbers.

    Raises:
        InvalidRequest: There is no such column.
    """
    places = {}
    for name, column in wanted.items():
        if header is not None and column in header:
            places[name] = header.index(column)
        elif header is None and column.isdecimal() and int(column) < width:
            places[name] = int(column)
        elif header is None:
            raise InvalidRequest(
                _wrong(
                    query, f"there is no column {column!r} for {name}: without a header, columns are 0 to {width - 1}"
                ),
                source="replay",
            )
        else:
            raise InvalidRequest(
                _wrong(query, f"there is no column {column!r} for {name}: {nearest(column, header)}"), source="replay"
            )
    return places


def getter(path: str) -> Callable[[object], object]:
    """Return what finds the value at a dotted path, such as "data.0.px", in a JSON value; None if there is none."""
    first, *rest = path.split(".")
    if not rest:
        return lambda row: row.get(first) if isinstance(row, dict) else _step(row, first)

    def get(row: object) -> object:
        for part in (first, *rest):
            row = _step(row, part)
        return row

    return get


def _step(value: object, part: str) -> object:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    return None


def _wrong(query: Query, reason: str) -> str:
    return f"{query.path}: {reason}"
