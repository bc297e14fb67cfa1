"""What a vendor's refusals teach: a cooldown that all calls wait for, and a rate below the declared one that recovers.

The rate is shrunk and grown as TCP does it: down by a factor at a refusal, up in equal steps while there is none
(AIMD). It never goes above what the rules declare, since it is one more limit beside them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import attrs

from market_data_pipeline.contracts.budget import SECOND_NS, Rule
from market_data_pipeline.pacing.meters import Plain

SHRINK: Final = 0.7
"""What a refusal leaves of the rate."""
FLOOR: Final = 0.5
"""The rate below which it never goes, calls a second."""
RECOVERY_SEC: Final = 60.0
"""How long it takes from nothing back to the rate at which it was refused."""
MEASURE_NS: Final = 10 * SECOND_NS
"""Over how long the rate of what went out is measured, at least."""
MAX_COOLDOWN_NS: Final = 900 * SECOND_NS
"""The longest cooldown, whatever the vendor says."""


@attrs.frozen(kw_only=True)
class Feedback(Rule):
    """The vendor's word: nothing before the end of a cooldown, then at a rate that it bears."""

    kind: ClassVar[Literal["feedback"]] = "feedback"  # type: ignore[assignment]
    declared: float = 0.0
    """The rate that the rules allow in the long run, cost a second, at which a shrunk rate ends; 0: unknown."""
    adaptive: bool = True
    """Whether refusals shrink the rate."""

    @property
    def scope(self) -> str:
        """The operation that it is about; "": all of the account."""
        return next(iter(self.operations or ()), "")


class FeedbackMeter(Plain):
    """A cooldown and a rate, for one scope."""

    __slots__ = ("_began", "_due", "_earlier", "_grown", "_refused", "_shrunk", "_went", "rate", "rule", "until")

    def __init__(self, rule: Feedback) -> None:
        self.until: int = 0
        """The end of the cooldown, ns; it may be over."""
        self.rate: float = 0.0
        """The rate that it allows, cost a second; 0: it sets none."""
        self._refused = 0.0  # the rate that was refused first
        self._shrunk = 0  # when the rate was last cut
        self._grown = 0  # up to when it has grown
        self._due = 0  # when it allows the next
        self._began = 0  # since when what goes out is measured
        self._went = 0  # since then
        self._earlier = 0.0  # the rate of the measure before
        self.change(rule, 0, 0)

    def earliest(self, now: int, _cost: int) -> int:
        """Return the end of the cooldown, or when the rate allows the next."""
        if self.rate:
            return max(now, self.until, self._due)
        return self.until

    def take(self, now: int, cost: int) -> None:
        """Measure what goes out, and space it if there is a rate."""
        if not self.rule.adaptive:
            return
        if now - self._began > MEASURE_NS:
            self._earlier = self._went * SECOND_NS / (now - self._began)
            self._began, self._went = now, 0
        self._went += cost
        if self.rate:
            self._grow(now)
        if self.rate:
            self._due = now + round(cost * SECOND_NS / self.rate)

    def refund(self, _at: int, cost: int) -> None:
        """Measure less."""
        self._went -= min(self._went, cost)

    def used(self, now: int) -> int:
        """Return 1 during a cooldown, else 0."""
        return int(self.until > now)

    def idle(self, now: int) -> bool:
        """Tell whether neither cooldown nor rate is left."""
        return self.until <= now and not self.rate and now - self._began > MEASURE_NS

    def change(self, rule: Feedback, _slack_ns: int, _now: int) -> None:
        """Go on with another declared rate."""
        self.rule: Feedback = rule
        if not rule.adaptive:
            self.rate = 0.0

    def cool(self, until: int) -> None:
        """Let nothing out before that time; the later of two cooldowns counts."""
        self.until = max(self.until, until)

    def warm(self) -> None:
        """End the cooldown and forget the rate: an operator knows better."""
        self.until, self.rate = 0, 0.0

    def shrink(self, now: int, taken_at: int) -> None:
        """Note a refusal of what went out at that time; all that went out before a cut are one refusal."""
        if not self.rule.adaptive or taken_at < self._shrunk:
            return
        if self.rate:
            self._grow(now)
        if not self.rate:
            self.rate = self._refused = max(
                FLOOR, self._earlier, self._went * SECOND_NS / max(now - self._began, SECOND_NS)
            )
        self.rate = max(FLOOR, SHRINK * self.rate)
        self._shrunk = self._grown = now
        self._due = now + round(SECOND_NS / self.rate)

    def _grow(self, now: int) -> None:
        self.rate += self._refused / RECOVERY_SEC * (now - self._grown) / SECOND_NS
        self._grown = now
        if self.rate >= (self.rule.declared or 2 * self._refused):
            self.rate = 0.0

    def dump(self) -> Any:
        """Return the state as plain data."""
        return [getattr(self, name) for name in _STATE]

    def load(self, state: Any) -> None:
        """Take over what another one has dumped."""
        for name, value in zip(_STATE, state, strict=True):
            setattr(self, name, value)


_STATE: Final = tuple(name for name in FeedbackMeter.__slots__ if name != "rule")
