"""One even rate with a burst, for whoever needs no more than that."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final, cast

import attrs

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock
from market_data_pipeline.contracts.budget import SECOND_NS, Gcra
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pacing.limiter import Limiter
from market_data_pipeline.pacing.meters import GcraMeter
from market_data_pipeline.pacing.store import MemoryStore, Slot

ONE: Final = 1
"""What mostly goes out; the very object, which is a whole number without a look at its type."""


def _above_zero(_budget: Budget, field: attrs.Attribute[Any], value: Any) -> None:
    if not 0 < value < float("inf"):
        raise ConfigurationError(f"must be above 0, not {value!r}", where=field.name)


@attrs.frozen
class Budget:
    """So many messages a second, and so many at once after a pause.

    Raises:
        ConfigurationError: One of them is not above 0.
    """

    max_msgs_per_sec: float = attrs.field(validator=_above_zero)
    burst: int = attrs.field(validator=_above_zero)

    def rule(self) -> Gcra:
        """Return it as a rule named "rate"."""
        rate = Fraction(self.max_msgs_per_sec).limit_denominator(SECOND_NS)
        return Gcra(name="rate", limit=rate.numerator, period_ns=rate.denominator * SECOND_NS, burst=self.burst)


class Pacer:
    """Lets messages out at the rate of a budget; who comes first goes first.

    Args:
        budget: The rate and the burst.
        clock: The time; left out: the computer's.
    """

    def __init__(self, budget: Budget, *, clock: Clock | None = None) -> None:
        rule = budget.rule()
        store = MemoryStore()
        self._clock: Clock = clock or SystemClock()
        self._limiter = Limiter("pacer", [rule], store=store, clock=self._clock)
        self._meter = cast("GcraMeter", store.meter(Slot("pacer|gcra|rate", rule, 1, apart=False), 0))
        self._waiting = 0

    async def allow(self, n: int = 1) -> None:
        """Wait until `n` messages may go out.

        Raises:
            ConfigurationError: They are none, no whole number, or more than the burst, which never may go out at once.
            Overloaded: Too many wait.
        """
        strange = n is not ONE and (type(n) is not int or n < 1)
        if self._waiting or strange or not self._meter.admit(self._clock.monotonic_ns(), n):
            self._waiting += 1
            try:
                await self._limiter.acquire("message", cost=n)
            finally:
                self._waiting -= 1

    async def reset(self) -> None:
        """Fill the burst again, for who waits too."""
        self._meter.load((0, 0, 0, 0, 0))
        self._limiter.warm()
