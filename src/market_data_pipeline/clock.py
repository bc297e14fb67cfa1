"""The clock that is injected everywhere; nothing else in the core reads the time."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SystemClock"]


class SystemClock:
    """The computer's clock: wall time to stamp data, the running loop's own time for every duration.

    Attributes:
        monotonic_ns: Returns the time of the running loop, int ns; where none runs, the computer's monotonic time. From
            its first use in a loop whose time is the computer's it no longer asks for a loop. Whoever is in a hurry
            looks it up again for each call, and does not keep it.
    """

    __slots__ = ("monotonic_ns",)

    def __init__(self) -> None:
        self.monotonic_ns: Callable[[], int] = self._find

    def time_ns(self) -> int:
        """Return the wall time, int ns since the epoch, UTC."""
        return time.time_ns()

    def _find(self) -> int:
        """Return the time, and whether a loop has to be asked for it next time."""
        import asyncio

        loop = asyncio._get_running_loop()  # noqa: SLF001 (None where none runs)
        if loop is None:
            return time.monotonic_ns()
        if type(loop).time is not asyncio.BaseEventLoop.time:
            return int(loop.time() * 1e9)
        self.monotonic_ns = time.monotonic_ns
        return time.monotonic_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Sleep until `monotonic_ns()` is at least that; always lets other tasks run once."""
        import asyncio

        while True:
            await asyncio.sleep(max(0, monotonic_ns - self.monotonic_ns()) / 1e9)
            if self.monotonic_ns() >= monotonic_ns:  # a loop may wake a sleeper within its clock's resolution too early
                return
