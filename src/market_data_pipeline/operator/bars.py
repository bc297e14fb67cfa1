"""Ticks to bars, and bars to longer bars."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, get_args

import attrs
import msgspec

from market_data_pipeline.contracts import SECOND_NS, Outcome
from market_data_pipeline.errors import ConfigurationError, OperatorError, nearest
from market_data_pipeline.model import (
    END_OF_TIME,
    BarBatch,
    Basis,
    Batch,
    ControlEvent,
    Kind,
    Row,
    Watermark,
    format_interval,
    parse_interval,
)
from market_data_pipeline.operator.base import BaseOperator
from market_data_pipeline.operator.event_time import EventTimePolicy
from market_data_pipeline.operator.fold_rows import RowFold
from market_data_pipeline.operator.gaps import Gaps, Span
from market_data_pipeline.operator.open_bar import OpenBar

if TYPE_CHECKING:
    from market_data_pipeline.operator.fold_columns import ColumnFold

_NEVER = -(2**63)


def bar_interval(value: str | timedelta | int) -> int:
    """Return the interval of a bar, such as "1s", "5m", a timedelta or int ns, as int ns.

    Raises:
        ConfigurationError: Not an interval, or one below a second.
    """
    nanos = parse_interval(value)
    if nanos < SECOND_NS:
        raise ConfigurationError(f"a bar lasts one second or longer, not {format_interval(nanos)}", where="interval")
    return nanos


class SecondBarAggregator(BaseOperator):
    """Makes bars of any interval from one second, from trades, quotes or shorter bars.

    Intervals are half-open and aligned to the epoch: days begin at midnight UTC. An interval without a row has no bar.
    A bar is given out once, as final, when a `Watermark` has passed its end; the bars of one watermark come out ahead
    of it, ordered by end and symbol, in the face of the rows they were made from. What is still open when the stream
    ends without a watermark comes out with `is_final=False`.

    Of a bar's rows, the open is the one of the smallest `ts_event` (of equal ones, the first that came), the close the
    one of the greatest (the last that came), which also gives `ts_recv`, `ordinal` and `origin`. `volume` and `vwap`
    are added up in the order in which rows came; a missing size is none. Quotes have no volume: 0.0, and no `vwap`. A
    mid of ten decimals is rounded to the nearest, of two equally near ones to the even, and flagged `INEXACT_PX`.
    `flags` has those of the rows that say how exact a price or time is. `complete` is False where a `Gap` (unless
    filled) or `Switched` touched the interval, known before the bar was given out.

    Filtered are quotes without the side that is needed, bars of another basis, and rows whose bar was given out.

    Attributes:
        interval_ns: How long a bar is.
        basis: What the prices are.
        allowed_lateness_ns: How long after the watermark a bar stays open.
    """

    def __init__(
        self,
        window_sec: float | EventTimePolicy = 1,
        *,
        interval: str | timedelta | int | None = None,
        basis: Basis = "trade",
        allowed_lateness_sec: float = 0,
    ) -> None:
        """Make an aggregator.

        Args:
            window_sec: The interval in seconds, or a policy with interval and lateness.
            interval: The interval as "5m", a timedelta or int ns; takes the place of `window_sec`.
            basis: "trade" takes trades, "bid", "ask" and "mid" take quotes; each takes bars of the same basis.
            allowed_lateness_sec: Holds bars, and the watermark that is passed on, back for so many seconds. For use
                outside a pipeline: a pipeline's watermark has its allowed lateness in it already, which is never less
                than this unless its context says so.

        Raises:
            ConfigurationError: The interval is below a second, the lateness negative, or the basis unknown.
        """
        if isinstance(window_sec, EventTimePolicy):
            allowed_lateness_sec, window_sec = window_sec.allowed_lateness_sec, window_sec.window_sec
        self.interval_ns: int = bar_interval(timedelta(seconds=window_sec) if interval is None else interval)
        if basis not in get_args(Basis):
            raise ConfigurationError(
                f"{basis!r} is no basis of a bar; {nearest(basis, get_args(Basis))}", where="basis"
            )
        if allowed_lateness_sec < 0:
            raise ConfigurationError(f"is zero or more, not {allowed_lateness_sec}", where="allowed_lateness_sec")
        self.basis: Basis = basis
        self.allowed_lateness_ns: int = round(allowed_lateness_sec * SECOND_NS)
        ticks: Kind = "trade" if basis == "trade" else "quote"
        self.accepts: frozenset[Kind] = frozenset((ticks, "bar"))
        self._kind: Kind | None = None
        """What the bars are made from: ticks or bars, never both, which would count everything twice."""
        self._closed = _NEVER
        """All bars that start earlier were given out."""
        self._gaps = Gaps()
        self._fold: RowFold | ColumnFold = RowFold(self.interval_ns, basis)

    def on_batch(self, batch: Batch[Row]) -> Outcome:
        """Take rows into their bars.

        Returns:
            The counts; bars come out at a watermark.

        Raises:
            OperatorError: The kind is not accepted or differs from that of earlier rows, or a bar does not fit.
        """
        if batch.kind != self._kind:
            self._settle(batch.kind)
        if batch.born != self._fold.born:
            self._fold = self._fold_of(batch.born, self._fold.dump())
        folded = self._fold.fold(batch, self._closed)
        return Outcome(folded=folded, filtered=len(batch) - folded)

    def on_control(self, event: ControlEvent) -> Outcome:
        """Close the bars that a watermark has passed; remember gaps; pass every event on."""
        if not isinstance(event, Watermark):
            self._gaps.add(event)
            return Outcome(items=(event,))
        if self.allowed_lateness_ns and event.ts_event != END_OF_TIME:
            event = attrs.evolve(event, ts_event=event.ts_event - self.allowed_lateness_ns)
        # A bar of `ts_event` equal to the watermark may still come, and ends the interval that ends there.
        passed = event.ts_event if self._kind in {"trade", "quote"} else event.ts_event - 1
        closed = passed - passed % self.interval_ns
        if closed <= self._closed:
            return Outcome(items=(event,))
        bars = self._fold.close(closed, self._gaps)
        self._closed = closed
        self._gaps.forget(closed)
        return _outcome(bars, event)

    def finish(self) -> Outcome:
        """Give out the bars that are still open, as provisional."""
        return _outcome(self._fold.close(None, self._gaps))

    def snapshot(self) -> bytes:
        """Return the open bars, the gaps and the watermark, as msgpack."""
        bars = sorted(self._fold.dump(), key=lambda bar: (bar.start, bar.symbol))
        state = _State(self.interval_ns, self.basis, self._kind, self._closed, self._gaps.spans, bars)
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        """Take over the state of an aggregator of the same interval and basis.

        Raises:
            OperatorError: It is of another interval or basis, or no state of bars.
        """
        try:
            taken = msgspec.msgpack.decode(state, type=_State)
        except msgspec.DecodeError as error:
            raise OperatorError(f"this is no state of bars: {error}; start without it") from error
        if (taken.interval, taken.basis) != (self.interval_ns, self.basis):
            raise OperatorError(
                f"the state is of {format_interval(taken.interval)} bars from {taken.basis} prices, not of "
                f"{format_interval(self.interval_ns)} from {self.basis}: keep the settings, or start without it"
            )
        self._kind, self._closed, self._gaps = taken.kind, taken.closed, Gaps(taken.gaps)
        self._fold = RowFold(self.interval_ns, self.basis, taken.bars)

    def _settle(self, kind: Kind) -> None:
        if kind not in self.accepts:
            wanted = " or ".join(sorted(self.accepts, reverse=True))
            raise OperatorError(f"bars from {self.basis} prices are made from {wanted} rows, not from {kind} rows")
        if self._kind is not None:
            raise OperatorError(
                f"bars are made from {self._kind} rows or from {kind} rows, and both came: ask the source for one kind"
            )
        self._kind = kind

    def _fold_of(self, face: str, bars: list[OpenBar]) -> RowFold | ColumnFold:
        if face == "rows":
            return RowFold(self.interval_ns, self.basis, bars)
        from market_data_pipeline.operator.fold_columns import ColumnFold

        return ColumnFold(self.interval_ns, self.basis, bars)


class _State(msgspec.Struct):
    """What a snapshot holds."""

    interval: int
    basis: Basis
    kind: Kind | None
    closed: int
    gaps: list[Span]
    bars: list[OpenBar]


def _outcome(bars: list[BarBatch], *events: ControlEvent) -> Outcome:
    return Outcome(items=(*bars, *events), created=sum(map(len, bars)))
