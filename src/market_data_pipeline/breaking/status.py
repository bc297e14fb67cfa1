"""What can be seen of a circuit breaker: its state, and a snapshot."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import attrs

BreakerState: TypeAlias = Literal["closed", "open", "half_open", "forced_open", "disabled"]


@attrs.frozen(kw_only=True)
class BreakerStatus:
    """A look at one breaker. Counts are those since it was made where nothing else is said."""

    provider: str
    operation: str
    state: BreakerState
    """As the next call finds it: a breaker whose wait is over is half open."""
    reason: str
    """Why it is in that state; empty: nothing happened yet."""
    since_ns: int
    """When it came into the state in which the last call left it, monotonic ns."""
    retry_after_ns: int | None
    """How long it still refuses; 0: it does not; None: until somebody resets it."""
    generation: int
    """Grows with each transition; results of an earlier generation change nothing."""
    attempt: int
    """How often it opened since it was last closed."""
    consecutive_failures: int
    """Failures in a row up to now, while closed or disabled."""
    calls: int
    """Calls in the window, while closed or disabled."""
    failures: int
    """How many of these failed."""
    in_flight: int
    """Calls of this generation that have not reported."""
    probe_successes: int
    """Successes in a row, while half open."""
    opened: int
    """How often it opened or was opened by force."""
    rejected: int
    """Calls that it refused."""
    succeeded: int
    """Calls that succeeded."""
    failed: int
    """Calls that failed."""
    ignored: int
    """Calls whose error says nothing about the provider."""
    cancelled: int
    """Calls that were cancelled."""
    late_results: int
    """Calls that reported when their generation was over."""
    callback_errors: int
    """How often the listener, or who classifies errors, raised an exception."""

    @property
    def failure_rate(self) -> float:
        """The share of failures in the window; 0 without calls."""
        return self.failures / self.calls if self.calls else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return attrs.asdict(self) | {"failure_rate": self.failure_rate}
