"""What the core gives to a plugin, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random
    from logging import Logger


class Clock(Protocol):
    """Injected time. Under simulation both clocks move together."""

    def time_ns(self) -> int:
        """Return the wall time, int ns since the epoch, UTC: to stamp data, never to measure."""
        ...

    def monotonic_ns(self) -> int:
        """Return the loop's own time, int ns: for every duration and deadline."""
        ...

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Sleep until `monotonic_ns()` is at least that; always lets other tasks run."""


class Services(Protocol):
    """All that a plugin gets from the core, scoped to that plugin."""

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    @property
    def random(self) -> random.Random:
        """The only randomness, so that a run can be repeated."""
        ...

    @property
    def log(self) -> Logger:
        """A logger under the plugin's name."""
        ...

    def epoch(self) -> int:
        """Return a new connection generation for `Origin.epoch`: greater than all before it, never reused."""
        ...
