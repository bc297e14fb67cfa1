"""Questions to a provider that are answered once: history, option chains, instruments; each answer is checked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, NoReturn, TypeVar, get_args

import anyio

from market_data_pipeline.contracts import BarsRequest, ChainRequest, MarketDataProvider
from market_data_pipeline.errors import (
    ConfigurationError,
    InvalidRequest,
    MarketDataError,
    SourceBug,
    SourceTimeout,
    nearest,
)
from market_data_pipeline.model import (
    BarBatch,
    Basis,
    ControlEvent,
    History,
    Instrument,
    OptionChain,
    OptionQuote,
    StreamItem,
    TimeLike,
    parse_interval,
    parse_time,
    to_px,
)
from market_data_pipeline.source.guard import STATUS_TIMEOUT, contract_errors, run_foreign

T = TypeVar("T")

MAX_BARS = 5_000_000
ANSWER_TIMEOUT = 30.0
"""How long a provider may take to a chain, or from one part of a history to the next, seconds."""


def bars_request(
    symbol: str, *, start: TimeLike, end: TimeLike, interval: str | timedelta | int, basis: Basis
) -> BarsRequest:
    """Return the request that these arguments mean.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    if basis not in get_args(Basis):
        raise ConfigurationError(f"no basis {basis!r}; {nearest(basis, get_args(Basis))}", where="basis")
    request = BarsRequest(
        symbol=_symbol(symbol),
        start=parse_time(start),
        end=parse_time(end),
        interval_ns=parse_interval(interval),
        basis=basis,
    )
    if request.start >= request.end:
        raise ConfigurationError(f"the start {start} is not before the end {end}", where="start")
    return request


def chain_request(
    underlying: str,
    *,
    expiries: tuple[str | date, str | date] | None,
    strikes: tuple[float | str, float | str] | None,
) -> ChainRequest:
    """Return the request that these arguments mean.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    return ChainRequest(
        underlying=_symbol(underlying),
        expiries=_range("expiries", expiries, _date),
        strikes=_range("strikes", strikes, _strike),
    )


async def fetch_history(name: str, provider: MarketDataProvider, request: BarsRequest, *, limit: int) -> History:
    """Return the whole answer.

    Raises:
        SourceTimeout: Nothing came for 30 s.
        InvalidRequest: There are more bars than the limit.
        SourceBug: The answer is not what was asked for.
        SourceError: The provider failed.
    """
    items: list[StreamItem] = []
    with anyio.CancelScope() as scope:

        async def collect() -> None:
            rows, last = 0, request.start - 1
            with contract_errors(name):
                async with aclosing(_generator(name, provider, request)) as parts:
                    async for item in parts:
                        scope.deadline = anyio.current_time() + ANSWER_TIMEOUT
                        last = _check_item(name, item, request, last)
                        rows += len(item) if isinstance(item, BarBatch) else 0
                        if rows > limit:
                            raise InvalidRequest(
                                f"{name} has more than {limit:,} bars for that: ask for a shorter time or longer bars, "
                                "or raise the limit",
                                source=name,
                            )
                        items.append(item)

        scope.deadline = anyio.current_time() + ANSWER_TIMEOUT
        await run_foreign(name, collect)
    if scope.cancelled_caught:
        raise SourceTimeout(f"{name} sent no bars for {ANSWER_TIMEOUT:g} s", source=name)
    return History(
        provider=name,
        symbol=request.symbol,
        interval_ns=request.interval_ns,
        basis=request.basis,
        start=request.start,
        end=request.end,
        batches=tuple(item for item in items if isinstance(item, BarBatch)),
        events=tuple(item for item in items if isinstance(item, ControlEvent)),
    )


async def fetch_chain(name: str, provider: MarketDataProvider, request: ChainRequest) -> OptionChain:
    """Return the answer.

    Raises:
        SourceTimeout: It took longer than 30 s.
        SourceBug: The answer is not what was asked for.
        SourceError: The provider failed.
    """
    rows = await _ask(name, lambda: provider.get_options_chain(request), OptionQuote, limit=ANSWER_TIMEOUT)
    for row in rows:
        if row.underlying != request.underlying:
            _bug(name, f"an option on {row.underlying!r}, asked for {request.underlying!r}")
        if not (_within(row.expiry, request.expiries) and _within(row.strike_px, request.strikes)):
            _bug(name, f"the option {row.symbol!r}, whose expiry or strike was not asked for")
    if disorder := _out_of_order((row.expiry, row.strike_px, row.right) for row in rows):
        _bug(name, f"a chain that is not ordered by expiry, strike and right: {disorder[1]} behind {disorder[0]}")
    return OptionChain(provider=name, underlying=request.underlying, rows=rows)


async def fetch_instruments(name: str, provider: MarketDataProvider, symbol: str) -> tuple[Instrument, ...]:
    """Return what the symbol may stand for.

    Raises:
        ConfigurationError: It is no symbol.
        SourceTimeout: It took longer than 5 s.
        SourceBug: The answer is not what was asked for.
        SourceError: The provider failed.
    """
    asked = _symbol(symbol)
    return await _ask(name, lambda: provider.resolve(asked), Instrument, limit=STATUS_TIMEOUT)


def _generator(name: str, provider: MarketDataProvider, request: BarsRequest) -> AsyncGenerator[StreamItem, None]:
    found: Any = provider.get_historical_bars(request)
    if not isinstance(found, AsyncGenerator):
        _bug(name, f"a {type(found).__name__} for historical bars, not an async generator")
    return found


def _check_item(name: str, item: object, request: BarsRequest, last: int) -> int:
    """Return the start of the last bar so far.

    Raises:
        SourceBug: It is not what was asked for.
    """
    if isinstance(item, ControlEvent):
        return last
    if not isinstance(item, BarBatch):
        _bug(name, f"a {type(item).__name__} for historical bars, not bars and control events")
    if others := _values(item, "symbol") - {request.symbol}:
        _bug(name, f"bars of {min(others)!r}, asked for {request.symbol!r}")
    if others := _values(item, "basis") - {request.basis}:
        _bug(name, f"bars from {min(others)} prices, asked for {request.basis}")
    starts = item.columns["start"].tolist() if item.born == "columns" else [row.start for row in item.rows]
    if _out_of_order([last, *starts]) or len(set(starts)) < len(starts) or starts[0] == last:
        _bug(name, f"bars that are not ordered by start, or start before {request.start}")
    if starts[-1] >= request.end:
        _bug(name, f"a bar that starts at {starts[-1]}, asked for those before {request.end}")
    return int(starts[-1])


def _values(batch: BarBatch, field: str) -> set[Any]:
    if batch.born == "rows":
        return {getattr(row, field) for row in batch.rows}
    return set(batch.columns.text(field))


async def _ask(
    name: str, question: Callable[[], Coroutine[Any, Any, Iterable[T]]], kind: type[T], *, limit: float
) -> tuple[T, ...]:
    """Return the parts of an answer, each of the right type.

    Raises:
        SourceTimeout: It took longer than the limit.
        SourceBug: A part is of another type.
    """

    async def answer() -> tuple[T, ...]:
        with contract_errors(name):
            return tuple(await question())

    try:
        parts = await run_foreign(name, answer, limit=limit)
    except TimeoutError:
        raise SourceTimeout(f"{name} did not answer within {limit:g} s", source=name) from None
    if wrong := [part for part in parts if not isinstance(part, kind)]:
        _bug(name, f"a {type(wrong[0]).__name__}, not {kind.__name__} alone")
    return parts


def _bug(name: str, what: str) -> NoReturn:
    raise SourceBug(f"{name} gave {what}: report this to the plugin's author", source=name)


def _out_of_order(values: Iterable[Any]) -> tuple[Any, Any] | None:
    return next((pair for pair in pairwise(values) if pair[1] < pair[0]), None)


def _within(value: Any, bounds: tuple[Any, Any] | None) -> bool:
    return bounds is None or bounds[0] <= value <= bounds[1]


def _symbol(symbol: str) -> str:
    if not isinstance(symbol, str) or not symbol:
        raise ConfigurationError(f"{symbol!r} is no symbol: ask for one symbol, a text that is not empty")
    return symbol


def _range(where: str, bounds: Sequence[Any] | None, parse: Callable[[Any], T]) -> tuple[T, T] | None:
    if bounds is None:
        return None
    if isinstance(bounds, str) or len(bounds) != 2:  # noqa: PLR2004 - first and last
        raise ConfigurationError(f"is a pair of first and last, not {bounds!r}", where=where)
    first, last = parse(bounds[0]), parse(bounds[1])
    if first > last:  # type: ignore[operator]
        raise ConfigurationError(f"the first, {bounds[0]}, is behind the last, {bounds[1]}", where=where)
    return first, last


def _date(value: str | date) -> str:
    try:
        return value.strftime("%Y-%m-%d") if isinstance(value, date) else date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise ConfigurationError(f"{value!r} is no date: write it as 2026-12-18", where="expiries") from None


def _strike(value: float | str) -> int:
    try:
        return to_px(value)
    except MarketDataError as error:
        raise ConfigurationError(f"{value!r} is no strike: {error}", where="strikes") from None
