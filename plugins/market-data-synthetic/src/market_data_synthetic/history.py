"""Bars of the past, folded by the operator `bars` from the very ticks that a stream gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from market_data_pipeline.contracts import BarsRequest
from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import BarBatch, Kind, Watermark
from market_data_pipeline.operator import SecondBarAggregator
from market_data_synthetic.batches import to_batch
from market_data_synthetic.identity import bars_epoch, origin
from market_data_synthetic.market import Market
from market_data_synthetic.settings import END_OF_TICKS, SyntheticSettings

SECOND = 1_000_000_000
YEAR = 366 * 86_400 * SECOND
SLOTS = 16_384
"""So many quotes are computed at once: it bounds the memory, and the time in which nothing else runs."""


def check(request: BarsRequest, settings: SyntheticSettings) -> None:
    """Check that there can be such bars.

    Raises:
        InvalidRequest: The range is empty or leaves the times that have ticks, the interval is below a second or
            above a year, or there are no trades.
    """
    problem = ""
    if not 0 <= request.start < request.end <= END_OF_TICKS:
        problem = (
            f"start {request.start} and end {request.end} are no range from 0 to {END_OF_TICKS} ns: start is first"
        )
    elif not SECOND <= request.interval_ns <= YEAR:
        problem = f"the interval of {request.interval_ns} ns is not between a second, {SECOND}, and a year, {YEAR}"
    elif request.basis == "trade" and not settings.trades_per_quote:
        problem = "trades_per_quote is 0: raise it, or ask for bars of bid, ask or mid"
    if problem:
        raise InvalidRequest(f"no bars of {request.symbol!r} from synthetic: {problem}", source="synthetic")


def fold(request: BarsRequest, settings: SyntheticSettings, *, until: int | None) -> Iterator[list[BarBatch]]:
    """Yield the bars by start, step by step, most steps with none; no bar that ends after `until`.

    Rows of the stream and of the bars are the same ones, counted from the start of the first bar on: so a bar has the
    values, `ts_recv`, `flags` and `ordinal` that it would have behind a stream from there.
    """
    interval = request.interval_ns
    start, end = (-(-time // interval) * interval for time in (request.start, request.end))
    if until is not None:
        end = min(end, until - until % interval)
    kind: Kind = "trade" if request.basis == "trade" else "quote"
    operator = SecondBarAggregator(interval=interval, basis=request.basis)
    market, source = Market([request.symbol], settings), origin(bars_epoch(settings, request))
    slot, ordinal = start // market.period, 0
    while slot * market.period < end:
        ticks = market.ticks(slot, SLOTS, {kind})[kind]
        first, last = np.searchsorted(ticks["ts_event"], [start, end]).tolist()
        if first < last:
            part = {name: array[first:last] for name, array in ticks.items()}
            operator.on_batch(to_batch(kind, part, [request.symbol], source, ordinal=ordinal))
            ordinal += last - first
        slot += SLOTS
        reached = min(end, slot * market.period)
        closed = operator.on_control(Watermark(source="synthetic", ts=reached, ts_event=reached))
        yield [item for item in closed.items if isinstance(item, BarBatch)]
