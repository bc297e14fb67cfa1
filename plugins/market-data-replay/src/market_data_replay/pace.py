"""When each row is due, at a speed factor."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import AsyncGenerator
from itertools import accumulate
from typing import Literal

from market_data_pipeline.contracts import Clock
from market_data_pipeline.model import Batch, Row


class Pace:
    """Plays rows by `ts_event`: the first at once, the others `speed` times as fast as they happened, none early.

    With the speed "max" all are due at once.

    A row that goes back in time is due with the one before it. If the consumer was slow, all that is due comes at once.
    """

    def __init__(self, clock: Clock, speed: float | Literal["max"]) -> None:
        self._clock = clock
        self._speed = speed
        self._began: tuple[int, int] | None = None
        self._newest = 0

    async def play(self, batch: Batch[Row]) -> AsyncGenerator[Batch[Row]]:
        """Yield a batch in pieces, each when its last row is due."""
        speed = self._speed
        if speed == "max":
            yield batch
            return
        if batch.born == "columns":
            times: list[int] = batch.columns["ts_event"].tolist()
        else:
            times = [row.ts_event for row in batch.rows]
        if self._began is None:
            self._began = self._clock.monotonic_ns(), times[0]
            self._newest = times[0]
        times = list(accumulate(times, max, initial=self._newest))[1:]
        self._newest = times[-1]
        began, first = self._began

        def due(ts_event: int) -> int:
            return began + math.ceil((ts_event - first) / speed)

        start = 0
        while start < len(times):
            stop = bisect_right(times, self._clock.monotonic_ns(), lo=start, key=due)
            if stop == start:
                await self._clock.sleep_until(due(times[start]))
            else:
                yield batch[start:] if stop == len(times) else batch[start:stop]
            start = stop
