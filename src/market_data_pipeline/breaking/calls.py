"""The calls of one generation of a circuit breaker in which nobody is refused."""

from __future__ import annotations

from market_data_pipeline.breaking.permit import Outcome, Permit, Reports
from market_data_pipeline.breaking.policy import BreakerPolicy
from market_data_pipeline.breaking.window import BreakerWindow
from market_data_pipeline.contracts import SECOND_NS, Clock


class BreakerCalls:
    """Counts them, and says when there are too many failures.

    Attributes:
        permit: The permit of all of them.
        consecutive_failures: Failures in a row up to now.
    """

    def __init__(self, owner: Reports, policy: BreakerPolicy, clock: Clock, now_ns: int) -> None:
        self.permit: Permit = Permit(owner, clock)
        self.consecutive_failures: int = 0
        self._policy = policy
        self._window = BreakerWindow(policy.window_ns, now_ns)

    @property
    def in_flight(self) -> int:
        """Calls that have not reported."""
        return self.permit.taken - self.permit.returned - self.permit.quick

    def counts(self, now_ns: int) -> tuple[int, int]:
        """Return calls and failures of the window that ends now; looking changes nothing."""
        return self._window.counts(now_ns, self.permit.quick)

    def settle(self) -> int:
        """Take the successes that the permit counted by itself into the window.

        Returns:
            How many they were.
        """
        quick, self.permit.quick = self.permit.quick, 0
        self.permit.quick_until_ns = 0
        self.permit.returned += quick
        self._window.add(quick, 0)
        return quick

    def count(self, outcome: Outcome, now_ns: int) -> str:
        """Count the end of a call.

        Returns:
            Why that is too much; empty: it is not.
        """
        self.permit.returned += 1
        if outcome in {"ignored", "cancelled"}:
            return ""
        failed = outcome != "success"
        window, policy = self._window, self._policy
        window.roll(now_ns)
        window.add(1, int(failed))
        self.consecutive_failures = self.consecutive_failures + 1 if failed else 0
        if not window.failures:  # then a success cannot open it, and needs no look at the rules
            self.permit.quick_until_ns = window.end_ns
            return ""
        if self.consecutive_failures >= policy.threshold:
            return f"{self.consecutive_failures} failures in a row"
        if policy.failure_rate is None or window.calls < policy.min_calls:
            return ""
        if window.failures < policy.failure_rate * window.calls:
            return ""
        return f"{window.failures} of {window.calls} calls failed within {policy.window_ns / SECOND_NS:g} s"
