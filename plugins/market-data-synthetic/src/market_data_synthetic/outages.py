"""Windows of time in which a connection has a fault, as a run goes through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import attrs

from market_data_pipeline.model import Connected, ControlEvent, Gap, Origin, SourceState
from market_data_synthetic.faults import Window


def edges(step: int | None, windows: Iterable[Window]) -> Callable[[int], int] | None:
    """Return what gives the next multiple of a step, or edge of a window, after a time; None without both."""
    after = [window.edge for window in windows]
    if step is not None:
        after.append(lambda time: (time // step + 1) * step)
    if len(after) > 1:
        return lambda time: min(edge(time) for edge in after)
    return after[0] if after else None


@attrs.define
class Episodes:
    """Windows that begin while a run goes on; one that it begins in is none."""

    window: Window
    _seen: int | None = None

    def begins(self, time: int) -> bool:
        """Say whether a time is the first that is seen in its window."""
        number = self.window.number(time)
        is_first, number = self._seen is None, -1 if number is None else number
        if number == self._seen or (number < 0 and not is_first):
            return False
        self._seen = number
        return not is_first


@attrs.define
class Gaps:
    """Windows whose ticks are missing."""

    window: Window
    is_silent: bool
    is_open: bool = False
    """Whether the last time was in a window."""
    _number: int | None = None
    _rows: int = 0

    def take(self, time: int, rows: int, now: int) -> Iterator[ControlEvent]:
        """Go on to a time at which there are so many ticks; yield the gap that is over."""
        number = self.window.number(time)
        if number != self._number:
            yield from self.close(now)
        self._number, self.is_open = number, number is not None
        self._rows += rows * self.is_open

    def close(self, now: int) -> Iterator[ControlEvent]:
        """Yield the gap that is not told yet."""
        if self._number is not None and not self.is_silent:
            start, end = self.window.span(self._number)
            yield Gap(source="synthetic", ts=now, start=start, end=end, reason="sequence", rows=self._rows)
        self._number, self._rows = None, 0


@attrs.define
class Breaks:
    """Windows in which the connection is lost: each stretch between two of them has a connection of its own."""

    window: Window
    connect: Callable[[int], Origin]
    """Makes the connection with a number."""
    began: int | None
    """When the run began; None: it goes on after a position."""
    _connection: int | None = None
    _lost: int | None = None
    """The first window since which there is no connection."""

    @property
    def is_lost(self) -> bool:
        """Whether there was no connection at the last time."""
        return self._lost is not None

    def take(self, time: int, now: int) -> Iterator[ControlEvent]:
        """Go on to a time; yield what happened to the connection before it."""
        number, stretch = self.window.number(time), time // self.window.every
        if number is not None:
            if self._lost is None:
                yield self._state("connecting", now)
                self._lost = number
        elif stretch != self._connection:
            yield from self._reconnect(stretch, now)

    def _reconnect(self, stretch: int, now: int) -> Iterator[ControlEvent]:
        is_first = self._connection is None and self.began is not None and stretch == self.began // self.window.every
        if self._lost is None and not is_first:
            yield self._state("connecting", now)
        yield Connected(source="synthetic", ts=now, origin=self.connect(stretch))
        if not is_first:
            start, _ = self.window.span(stretch - 1 if self._lost is None else self._lost)
            end = stretch * self.window.every
            yield Gap(source="synthetic", ts=now, start=start, end=end, reason="disconnect")
            yield self._state("live", now)
        self._connection, self._lost = stretch, None

    def _state(self, state: Literal["connecting", "live"], now: int) -> SourceState:
        return SourceState(source="synthetic", ts=now, state=state, reason="fault_disconnect")
