"""Mistakes that more than one kind of schedule has to find."""

from market_data_pipeline.breaking import BreakerPolicy, CircuitBreaker


class Unbounded(CircuitBreaker):
    """Wrong: any number of callers is let through when the wait is over, as breakers do that know no permits."""

    def _admit(self):
        limit, self.policy = self.policy, BreakerPolicy(probe_concurrency=99)
        try:
            return super()._admit()
        finally:
            self.policy = limit
