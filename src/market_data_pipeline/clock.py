"""The clock that is injected everywhere; nothing else in the core reads the time."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SystemClock", "loop_clock"]


class SystemClock:
    """The computer's clock: wall time to stamp data, the running loop's own time for every duration."""

    __slots__ = ("_monotonic", "_running_loop")

    def __init__(self) -> None:
        import asyncio

        self._running_loop = asyncio._get_running_loop  # noqa: SLF001 (None where none runs: faster than an error)
        self._monotonic = asyncio.BaseEventLoop.time  # of the loops whose time is the computer's

    def time_ns(self) -> int:
        """Return the wall time, int ns since the epoch, UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return the time of the running loop, int ns; where none runs, the computer's monotonic time."""
        loop = self._running_loop()
        if loop is None or type(loop).time is self._monotonic:
            return time.monotonic_ns()
        return int(loop.time() * 1e9)

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Sleep until `monotonic_ns()` is at least that; always lets other tasks run once."""
        import asyncio

        while True:
            await asyncio.sleep(max(0, monotonic_ns - self.monotonic_ns()) / 1e9)
            if self.monotonic_ns() >= monotonic_ns:  # a loop may wake a sleeper within its clock's resolution too early
                return


def loop_clock() -> Callable[[], int]:
    """Return what tells the time of the running loop, int ns, as fast as it can; for as long as that loop runs."""
    import asyncio

    loop = asyncio.get_running_loop()
    if type(loop).time is asyncio.BaseEventLoop.time:
        return time.monotonic_ns
    return lambda: int(loop.time() * 1e9)
