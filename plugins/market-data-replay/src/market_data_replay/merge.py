"""Many runs into one stream in time order, exactly, with a bounded part of each in memory.

The order is that of `heapq.merge` with `ts_event` as its key: by time, then by the place of the file, then by row. A
row that goes back in time within its file stays behind the rows before it. But the merge moves by watermarks, not by
rows: of all runs that are open, everything up to the least of their last rows in memory is sorted at once.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Generator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from market_data_pipeline.model import END_OF_TIME
from market_data_replay.formats.contract import BEGINNING, Chunk, Mixed, Run, Tally

if TYPE_CHECKING:
    from market_data_pipeline.model.columns import Array

MEMORY_ROWS = 1 << 18
"""The open runs share room for so many rows (twice: each run reads one chunk ahead)."""
MOST_ROWS = 1 << 16
"""Rows of the largest chunk."""
LEAST_ROWS = 1 << 10
"""Rows of the smallest chunk, however many runs are open."""

Border = tuple[int, int]
"""A time and the place of a run: a row is before it if (its time, its run's place) is, or is the same."""

_END: Border = (END_OF_TIME, 1 << 62)


class Lane:
    """An open run: the chunk that is being played, and the next one."""

    def __init__(self, place: int, run: Run, tally: Tally, rows: int) -> None:
        self.place = place
        """In file order: it decides between rows of the same time."""
        self._chunks = run.chunks(tally, rows)
        self._newest = BEGINNING
        self._at = 0
        self._chunk: Chunk | Mixed | None = None
        self._keys: Array = np.empty(0, "i8")
        self._ahead = next(self._chunks, None)
        self.refill()

    @property
    def border(self) -> Border:
        """Behind it there may be rows that are not read yet."""
        return _END if self._ahead is None else (int(self._keys[-1]), self.place)

    def refill(self) -> bool:
        """Go on to the next chunk if this one is played; return whether there are rows."""
        if self._at == len(self._keys):
            self._chunk, self._at = self._ahead, 0
            if self._chunk is None:
                return False
            self._ahead = next(self._chunks, None)
            keys = np.maximum.accumulate(self._chunk.times)
            self._keys = np.maximum(keys, self._newest)
            self._newest = int(self._keys[-1])
        return True

    def take(self, border: Border) -> tuple[Chunk | Mixed, Array] | None:
        """Return the rows up to a border and their keys, or None."""
        time, place = border
        start = self._at
        self._at = start + int(np.searchsorted(self._keys[start:], time, "right" if self.place <= place else "left"))
        if self._chunk is None or start == self._at:
            return None
        chunk, keys = self._chunk, self._keys[start : self._at]
        if len(keys) < len(self._keys):
            chunk = chunk.take(start, self._at)
        return chunk, keys

    def close(self) -> None:
        """Close the file."""
        self._chunks.close()


def merge(runs: Sequence[Run], tally: Tally) -> Generator[list[tuple[Chunk | Mixed, Array]]]:
    """Merge runs, given in file order.

    Yields:
        Parts of one stretch of the merged stream: rows of each run that has any there, in file order, with their keys.
        A stable sort of the keys of all parts gives the order of the rows; every later row goes behind them.

    Raises:
        InvalidRequest: A file is not what it claims to be.
    """
    waiting = sorted(enumerate(runs), key=lambda one: one[1].lower, reverse=True)
    lanes: list[Lane] = []
    try:
        while waiting or lanes:
            opening = waiting[-1][1].lower if waiting else None
            border = min((lane.border for lane in lanes), default=_END)
            if opening is not None and opening <= border[0]:
                border = (opening, -1)
            if parts := [part for lane in lanes if (part := lane.take(border))]:
                yield parts
            lanes = [lane for lane in lanes if lane.refill()]
            if border == (opening, -1):
                due = []
                while waiting and waiting[-1][1].lower == opening:
                    due.append(waiting.pop())
                rows = min(MOST_ROWS, max(LEAST_ROWS, MEMORY_ROWS // (len(lanes) + len(due))))
                for place, run in due:
                    insort(lanes, Lane(place, run, tally, rows), key=attrgetter("place"))
                lanes = [lane for lane in lanes if lane.refill()]
    finally:
        for lane in lanes:
            lane.close()
