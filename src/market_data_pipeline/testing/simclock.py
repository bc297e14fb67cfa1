"""The clock of another computer in a simulation."""

from __future__ import annotations

from typing import Final

from market_data_pipeline.contracts import Clock

MILLION: Final = 1_000_000


class SimClock:
    """Runs a little faster or slower than the clock of a simulation, and shows another wall time.

    Args:
        loop: The simulation's clock.
        drift_ppm: By how many millionths it runs faster; below 0: slower.
        offset_ns: By how much its wall time is ahead when it is made; it does not jump when the simulation's does.
    """

    def __init__(self, loop: Clock, *, drift_ppm: int = 0, offset_ns: int = 0) -> None:
        self._loop = loop
        self._speed = MILLION + drift_ppm  # a million: as fast as the simulation's
        self._wall = loop.time_ns() + offset_ns - self.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Return its own time, int ns."""
        return self._loop.monotonic_ns() * self._speed // MILLION

    def time_ns(self) -> int:
        """Return its wall time, int ns since the epoch, UTC."""
        return self._wall + self.monotonic_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Sleep until `monotonic_ns()` is at least that; let other tasks run once if it is already."""
        await self._loop.sleep_until(-(-monotonic_ns * MILLION // self._speed))
