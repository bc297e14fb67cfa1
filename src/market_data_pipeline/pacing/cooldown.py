"""Times in which nothing goes out, by scope."""

from __future__ import annotations

from typing import Final

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock

SCOPES: Final = 10_000
"""How many scopes are remembered before those whose time is over are forgotten."""

LONGEST_SEC: Final = 1e9
"""A rest that is longer is one of 31 years."""


class CooldownManager:
    """Remembers until when each scope rests. Overlapping times are one, up to the later end.

    A runtime needs none: its budgets cool down by themselves when a vendor refuses. It is for programs that keep watch
    on their own.

    Args:
        cooldown_sec: How long a rest is unless it is said, seconds.
        clock: The time.
    """

    def __init__(self, cooldown_sec: float = 600, *, clock: Clock | None = None) -> None:
        self._length = cooldown_sec
        self._clock: Clock = clock or SystemClock()
        self._until: dict[str, int] = {}

    async def trigger_cooldown(self, scope: str, duration_sec: float | None = None) -> None:
        """Let a scope rest for a while, seconds, from now on."""
        now = self._clock.monotonic_ns()
        if len(self._until) >= SCOPES:
            self._until = {scope: until for scope, until in self._until.items() if until > now}
        length = min(self._length if duration_sec is None else duration_sec, LONGEST_SEC)
        until = now + round(1e9 * length)
        self._until[scope] = max(until, self._until.get(scope, 0))

    def is_cooling_down(self, scope: str) -> bool:
        """Tell whether a scope rests."""
        return self._clock.monotonic_ns() < self._until.get(scope, 0)

    def remaining_sec(self, scope: str) -> float:
        """Return for how long a scope still rests, seconds; 0.0: it does not."""
        return max(0, self._until.get(scope, 0) - self._clock.monotonic_ns()) / 1e9
