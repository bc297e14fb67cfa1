"""A recording again and again: each round later than the one before, and with epochs of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from market_data_pipeline.model import BATCHES, END_OF_TIME, Batch, Origin, Row

_SECOND = 1_000_000_000
_TIMES = ("ts_event", "ts_recv", "start", "end")


@attrs.define
class Rounds:
    """Learns the length of the first round, and moves the others behind it.

    A round is as long as the recording and a bit, in whole seconds, or in whole intervals of its longest bar: bars stay
    on their grid, and no row is late.
    """

    number: int = 0
    """Which round is played, from 0."""
    _first: int = END_OF_TIME
    _last: int = -END_OF_TIME
    _interval: int = _SECOND
    _epochs: set[int] = attrs.field(factory=set)
    _origins: dict[Origin, Origin] = attrs.field(factory=dict)

    def next(self) -> bool:
        """Go on to the next round; return whether there is anything to play, and time left to play it in."""
        self.number += 1
        self._origins.clear()
        return bool(self._epochs) and self._last + (self.number + 1) * self._length < END_OF_TIME

    def play(self, batches: Iterable[Batch[Row]]) -> Iterator[Batch[Row]]:
        """Yield batches as they are in this round."""
        for batch in batches:
            if self.number == 0:
                self._learn(batch)
                yield batch
            else:
                yield self._shift(batch)

    @property
    def _length(self) -> int:
        return ((self._last - self._first) // self._interval + 1) * self._interval

    def _learn(self, batch: Batch[Row]) -> None:
        columns = batch.columns
        starts = columns["start"] if batch.kind == "bar" else columns["ts_event"]
        self._first = min(self._first, int(starts.min()))
        self._last = max(self._last, int(columns["ts_event"].max()))
        self._epochs.add(batch.origin.epoch)
        if batch.kind == "bar":
            self._interval = max(self._interval, int((columns["end"] - columns["start"]).max()))

    def _shift(self, batch: Batch[Row]) -> Batch[Row]:
        columns, length = batch.columns, self._length
        shifted: dict[str, Any] = {
            name: columns[name] + self.number * length if name in _TIMES else columns[name] for name in columns
        }
        moved = type(columns)(shifted, columns.words)
        return BATCHES[batch.kind].from_columns(moved, self._origin(batch.origin))

    def _origin(self, origin: Origin) -> Origin:
        if origin not in self._origins:
            apart = max(self._length, max(self._epochs) - min(self._epochs) + 1)
            epoch = origin.epoch + self.number * apart
            self._origins[origin] = Origin(origin.provider, origin.source, epoch, origin.mode)
        return self._origins[origin]
