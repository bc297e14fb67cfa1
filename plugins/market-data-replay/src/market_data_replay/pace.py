"""When each row is due, at a speed factor."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import AsyncGenerator
from itertools import accumulate
from typing import Literal

from market_data_pipeline.model import Batch, Row
from market_data_replay.controls import Controls


class Pace:
    """Plays rows by `ts_event`: the first at once, the others `speed` times as fast as they happened, none early.

    With the speed "max" all are due at once.

    A row that goes back in time is due with the one before it. If the consumer was slow, all that is due comes at once;
    a pause is no such time.
    """

    def __init__(self, controls: Controls, speed: float | Literal["max"]) -> None:
        self._controls = controls
        self._speed = speed
        self._began: tuple[int, int] | None = None
        self._newest = 0

    async def play(self, batch: Batch[Row]) -> AsyncGenerator[Batch[Row]]:
        """Yield a batch in pieces, each when its last row is due."""
        controls = self._controls
        if self._speed == "max" and not (controls.paused or controls.ended):
            yield batch
            return
        times = self._times(batch)
        start = 0
        while start < len(times) and not controls.ended:
            stop = await self._next(times, start)
            if stop > start:
                yield batch if stop - start == len(times) else batch[start:stop]
            start = stop

    def _times(self, batch: Batch[Row]) -> list[int]:
        """Return when each row of a batch happened, or the one before it if that was later."""
        if batch.born == "columns":
            times: list[int] = batch.columns["ts_event"].tolist()
        else:
            times = [row.ts_event for row in batch.rows]
        if self._began is None:
            self._began = self._controls.now(), times[0]
            self._newest = times[0]
        times = list(accumulate(times, max, initial=self._newest))[1:]
        self._newest = times[-1]
        return times

    async def _next(self, times: list[int], start: int) -> int:
        """Return up to which row is due now; if none is, wait for a change or for the next one."""
        controls = self._controls
        if controls.paused:
            stop = controls.allowed(times, start)
            if stop > start:
                controls.stepped(stop - start, self._due(times[stop - 1]))
            else:
                await controls.wait()
            return stop
        stop = bisect_right(times, controls.now(), lo=start, key=self._due)
        if stop == start:
            await controls.wait(self._due(times[start]))
        return stop

    def _due(self, ts_event: int) -> int:
        """Return the played time of a row; with the speed "max", long ago."""
        if self._speed == "max" or self._began is None:
            return 0
        began, first = self._began
        return began + math.ceil((ts_event - first) / self._speed)
