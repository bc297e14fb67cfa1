"""What happened lately: calls and failures of a sliding window, counted in buckets."""

from __future__ import annotations

from market_data_pipeline.breaking.policy import BUCKETS


class BreakerWindow:
    """A ring of buckets of equal width. A time that runs backwards is counted as the latest that was seen.

    Attributes:
        calls: Calls in the window, as of the last `roll`.
        failures: How many of these failed.
        end_ns: Where the newest bucket ends, monotonic ns.
    """

    def __init__(self, window_ns: int, now_ns: int) -> None:
        self.calls: int = 0
        self.failures: int = 0
        self._width = -(-window_ns // BUCKETS)
        self._newest = now_ns // self._width
        self.end_ns: int = (self._newest + 1) * self._width
        self._calls = [0] * BUCKETS
        self._failures = [0] * BUCKETS

    def roll(self, now_ns: int) -> None:
        """Forget the buckets that are too old; after a long idle time that is all of them."""
        if now_ns < self.end_ns:
            return
        newest = now_ns // self._width
        for number in range(max(self._newest + 1, newest - BUCKETS + 1), newest + 1):
            slot = number % BUCKETS
            self.calls -= self._calls[slot]
            self.failures -= self._failures[slot]
            self._calls[slot] = self._failures[slot] = 0
        self._newest = newest
        self.end_ns = (newest + 1) * self._width

    def add(self, calls: int, failures: int) -> None:
        """Count into the newest bucket."""
        slot = self._newest % BUCKETS
        self.calls += calls
        self.failures += failures
        self._calls[slot] += calls
        self._failures[slot] += failures

    def counts(self, now_ns: int, newest: int = 0) -> tuple[int, int]:
        """Return calls and failures of the window that ends now; looking changes nothing.

        Args:
            now_ns: The time, monotonic ns.
            newest: So many more calls, none of which failed, belong to the newest bucket.
        """
        oldest = max(now_ns // self._width, self._newest) - BUCKETS + 1
        live = [number % BUCKETS for number in range(oldest, self._newest + 1)]
        calls = sum(self._calls[slot] for slot in live) + (newest if live else 0)
        return calls, sum(self._failures[slot] for slot in live)
