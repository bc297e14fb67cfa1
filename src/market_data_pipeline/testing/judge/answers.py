"""The judges of answers: bars of the past, and option chains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import pairwise

import attrs

from market_data_pipeline.contracts import BarsRequest, Capabilities, ChainRequest, StreamRequest
from market_data_pipeline.model import Bar, Batch, Mode, OptionQuote, StreamItem
from market_data_pipeline.testing.judge.rows import FIRST_NS, Finding, type_findings, value_findings
from market_data_pipeline.testing.judge.stream import judge_stream
from market_data_pipeline.testing.judge.violation import Violation


def judge_history(items: Iterable[StreamItem], *, request: BarsRequest, capabilities: Capabilities) -> list[Violation]:
    """Judge what `get_historical_bars` yielded: as a stream, and by the range, interval and basis of the request.

    Returns:
        Each place in which a rule of `RULES` is broken; none where all is well.
    """
    items = list(items)
    asked = StreamRequest(symbols=(request.symbol,), kinds=frozenset({"bar"}))
    past: frozenset[Mode] = frozenset({"backfill"})  # whatever streams
    declared = attrs.evolve(capabilities, kinds=capabilities.history, modes=capabilities.modes | past, resumable=True)
    violations = judge_stream(items, request=asked, capabilities=declared)
    for index, item in enumerate(items):
        for number, bar in enumerate(item.rows if isinstance(item, Batch) else ()):
            if isinstance(bar, Bar) and (seen := _beyond(bar, request)):
                violations.append(Violation.of("range", f"item {index}, row {number}", seen))
    return violations


def judge_chain(quotes: Iterable[OptionQuote], *, request: ChainRequest, capabilities: Capabilities) -> list[Violation]:
    """Judge what `get_options_chain` returned.

    Returns:
        Each place in which a rule of `RULES` is broken; none where all is well.
    """
    quotes = list(quotes)
    violations = [
        Violation.of(name, f"contract {index}", seen)
        for index, quote in enumerate(quotes)
        for name, seen in _contract(quote, request, capabilities)
    ]
    if not violations:
        violations += _chain_order(quotes)
    return violations


def _beyond(bar: Bar, request: BarsRequest) -> str:
    if not request.start <= bar.start < request.end:
        return f"a bar that starts at {bar.start}, and [{request.start}, {request.end}) was asked for"
    if bar.end - bar.start != request.interval_ns:
        return f"a bar of {bar.end - bar.start} ns, and {request.interval_ns} was asked for"
    return "" if bar.basis == request.basis else f"a bar of {bar.basis}, and {request.basis} was asked for"


def _contract(quote: object, request: ChainRequest, capabilities: Capabilities) -> Iterator[Finding]:
    if not isinstance(quote, OptionQuote):
        yield "item", f"a {type(quote).__name__}: {quote!r:.60}, no OptionQuote"
        return
    if wrong := list(type_findings(quote)):
        yield from wrong
        return
    yield from value_findings(quote)
    if min(quote.ts_event, quote.ts_recv) < FIRST_NS:
        yield "time-unit", f"ts_event={quote.ts_event}, ts_recv={quote.ts_recv}"
    if quote.origin.mode not in capabilities.modes:
        yield "mode", f"{quote.origin.mode!r}, and {', '.join(sorted(capabilities.modes))} is declared"
    if quote.underlying != request.underlying:
        yield "symbol", f"{quote.underlying}, and {request.underlying} was asked for"
    if quote.strike_px <= 0 or not _is_date(quote.expiry):
        yield "contract", f"expiry={quote.expiry!r:.40}, strike={quote.strike}"
        return
    if request.expiries and not request.expiries[0] <= quote.expiry <= request.expiries[1]:
        yield "filter", f"expiry {quote.expiry}, and {' to '.join(request.expiries)} was asked for"
    if request.strikes and not request.strikes[0] <= quote.strike_px <= request.strikes[1]:
        yield "filter", f"strike_px={quote.strike_px}, and {request.strikes} was asked for"


def _chain_order(quotes: Sequence[OptionQuote]) -> Iterator[Violation]:
    keys = [(quote.expiry, quote.strike_px, quote.right, quote.symbol) for quote in quotes]
    for index, (one, other) in enumerate(pairwise(keys), 1):
        if one >= other:
            yield Violation.of("chain-order", f"contract {index}", f"{other} after {one}")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
