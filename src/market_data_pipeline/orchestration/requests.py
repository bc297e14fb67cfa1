"""What a caller asks a provider, as a request: arguments in the caller's terms become those of the contract."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeAlias, get_args

from market_data_pipeline.contracts import BarsRequest, ChainRequest
from market_data_pipeline.errors import ConfigurationError, MalformedMessage, nearest
from market_data_pipeline.model import Basis, TimeLike, parse_interval, parse_time, to_px

Expiries: TypeAlias = str | date | tuple[str | date, str | date]
"""One expiry, or the first and the last one, as dates or YYYY-MM-DD."""
Strikes: TypeAlias = tuple[str | Decimal | float, str | Decimal | float]
"""The least and the greatest one, in units of the quote currency."""


def bars_request(
    symbol: str, *, start: TimeLike, end: TimeLike, interval: str | timedelta | int, basis: Basis
) -> BarsRequest:
    """Return a request for bars of the past.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    if basis not in get_args(Basis):
        raise ConfigurationError(f"{basis!r} is no basis of a bar; {nearest(basis, get_args(Basis))}", where="basis")
    first, last = parse_time(start), parse_time(end)
    if first >= last:
        raise ConfigurationError("start must be before end: the range is half-open, [start, end)", where="start")
    return BarsRequest(symbol=symbol, start=first, end=last, interval_ns=parse_interval(interval), basis=basis)


def chain_request(underlying: str, *, expiries: Expiries | None, strikes: Strikes | None) -> ChainRequest:
    """Return a request for an option chain.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    days = prices = None
    if expiries is not None:
        first, last = _pair((expiries, expiries) if isinstance(expiries, str | date) else expiries, "expiries")
        days = _ordered(_day(first), _day(last), "expiries")
    if strikes is not None:
        least, greatest = _pair(strikes, "strikes")
        prices = _ordered(_px(least), _px(greatest), "strikes")
    return ChainRequest(underlying=underlying, expiries=days, strikes=prices)


def _pair(values: Any, where: str) -> tuple[Any, Any]:
    match values:
        case (first, last):
            return first, last
        case _:
            raise ConfigurationError(f"{values!r:.60} is no range: write it as (first, last)", where=where)


def _ordered(first: Any, last: Any, where: str) -> Any:
    if first > last:
        raise ConfigurationError("the first is not after the last: both are included", where=where)
    return first, last


def _day(value: Any) -> str:
    try:
        return (date.fromisoformat(value) if isinstance(value, str) else value).isoformat()[:10]  # also of a datetime
    except (AttributeError, ValueError):
        raise ConfigurationError(f"{value!r:.60} is no date: write it as 2026-01-16", where="expiries") from None


def _px(value: Any) -> int:
    try:
        return to_px(value)
    except MalformedMessage as error:
        raise ConfigurationError(str(error), where="strikes") from None
