"""When a circuit breaker opens, how long it stays open, and what closes it again, as data."""

from __future__ import annotations

from typing import Final

import attrs

from market_data_pipeline.contracts import SECOND_NS
from market_data_pipeline.errors import ConfigurationError

BUCKETS: Final = 60
"""Into how many parts a window is cut: outcomes are forgotten one part at a time."""

LONGEST_SEC: Final = 1e9
"""The longest timeout of earlier programs: 31 years."""


@attrs.frozen(kw_only=True)
class BreakerPolicy:
    """The rules of one circuit breaker; durations are int ns.

    It opens after `threshold` failures in a row, or when of at least `min_calls` calls within `window_ns` the share
    `failure_rate` or more failed. It then refuses for `base_wait_ns`, and twice as long each time that a probe fails.

    Raises:
        ConfigurationError: A value makes no sense.
    """

    threshold: int = 5
    """Failures in a row that open it."""
    min_calls: int = 10
    """With fewer calls in the window the share of failures says nothing."""
    failure_rate: float | None = 0.5
    """The share of failures that opens it, above 0 and at most 1; None: only failures in a row do."""
    window_ns: int = 60 * SECOND_NS
    """How long an outcome counts, at most; it is forgotten up to a sixtieth of that earlier."""
    base_wait_ns: int = 5 * SECOND_NS
    """How long it refuses the first time."""
    max_wait_ns: int = 60 * SECOND_NS
    """How long it refuses at most, before jitter; a vendor may ask for longer."""
    jitter: float = 0.2
    """By which share the wait is made longer or shorter at random, so that callers do not come back together."""
    probe_concurrency: int = 1
    """Calls that are let through at once to see whether it works again."""
    probe_successes: int = 2
    """Successes of these in a row that close it."""
    max_probe_ns: int = 30 * SECOND_NS
    """After that a probe that has not reported counts as failed."""

    def __attrs_post_init__(self) -> None:
        for name in ("threshold", "min_calls", "base_wait_ns", "probe_concurrency", "probe_successes", "max_probe_ns"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        self._check("failure_rate", self.failure_rate is None or 0 < self.failure_rate <= 1, "above 0 and at most 1")
        self._check("window_ns", self.window_ns >= BUCKETS, f"at least {BUCKETS}")
        self._check("max_wait_ns", self.max_wait_ns >= self.base_wait_ns, "at least base_wait_ns")
        self._check("jitter", 0 <= self.jitter < 1, "at least 0 and below 1")

    def _check(self, name: str, fine: bool, what: str) -> None:  # noqa: FBT001 (private)
        if not fine:
            raise ConfigurationError(f"must be {what}, not {getattr(self, name)!r}", where=f"BreakerPolicy.{name}")

    @classmethod
    def of_earlier_programs(cls, threshold: int, timeout: float, half_open_attempts: int) -> BreakerPolicy:
        """Return what the arguments of the earlier system mean: a count of failures, a fixed wait, so many probes.

        Args:
            threshold: Failures in a row that open it.
            timeout: How long it refuses, in seconds.
            half_open_attempts: Probes at once, and successes that close it.

        Raises:
            ConfigurationError: A value makes no sense.
        """
        if not 0 < timeout <= LONGEST_SEC:
            raise ConfigurationError(
                f"must be above 0 and at most {LONGEST_SEC:g} seconds, not {timeout!r}", where="timeout"
            )
        wait = round(timeout * SECOND_NS)
        return cls(
            threshold=threshold,
            failure_rate=None,
            base_wait_ns=wait,
            max_wait_ns=wait,
            jitter=0.0,
            probe_concurrency=half_open_attempts,
            probe_successes=half_open_attempts,
        )

    def wait_ns(self, attempt: int, drawn: float, asked_ns: int = 0) -> int:
        """Return how long it refuses, in ns.

        Args:
            attempt: How often it opened since it was last closed: 1, 2 and so on.
            drawn: A random number, at least 0 and below 1.
            asked_ns: How long the vendor wants to be left alone: that holds where it is longer.
        """
        doublings = min(attempt - 1, self.max_wait_ns.bit_length())  # more than that is beyond the cap anyhow
        wait = min(self.base_wait_ns << doublings, self.max_wait_ns)
        return max(wait + int(wait * self.jitter * (2 * drawn - 1)), asked_ns)
