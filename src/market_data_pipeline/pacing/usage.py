"""A look at a budget: how much of each rule is taken, by whom, and what rests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from market_data_pipeline.pacing.feedback import FeedbackMeter
from market_data_pipeline.pacing.meters import OpenMeter
from market_data_pipeline.pacing.store import Slot


@attrs.frozen(kw_only=True)
class RuleUsage:
    """How much of a rule is taken."""

    rule: str
    used: int
    """Within the window, of the burst, or at a time; of a least gap: 1 while it lasts."""
    holders: Mapping[str, int] = attrs.field(factory=dict)
    """Who holds how much of what is given back, by the owner's number in a shared store; "" in one of this process."""


@attrs.frozen(kw_only=True)
class Rest:
    """What a vendor's refusals have left behind."""

    operation: str
    """Empty: the whole account."""
    left_ns: int
    """How long nothing goes out."""
    rate: float
    """The shrunk rate, cost a second; 0: none."""


@attrs.frozen(kw_only=True)
class Usage:
    """A look at one budget."""

    rules: Mapping[str, RuleUsage]
    """By name; those that count by keys are not among them: they have a meter for each."""
    rests: tuple[Rest, ...]
    """The cooldowns and shrunk rates that there are."""


_Seen: TypeAlias = RuleUsage | Rest


def see(meter: Any, slot: Slot, now: int) -> _Seen:
    """Return what is to be seen of a meter at a time of its store, ns."""
    if isinstance(meter, FeedbackMeter):
        return Rest(operation=meter.rule.scope, left_ns=max(0, meter.until - now), rate=meter.rate)
    holders = dict(meter.holders) if isinstance(meter, OpenMeter) else {}
    return RuleUsage(rule=slot.rule.name, used=meter.used(now), holders=holders)


def usage_of(seen: Iterable[_Seen]) -> Usage:
    """Return the whole of what was seen."""
    rules: dict[str, RuleUsage] = {}
    rests = []
    for one in seen:
        if isinstance(one, RuleUsage):
            rules[one.rule] = one
        elif one.left_ns or one.rate:
            rests.append(one)
    return Usage(rules=rules, rests=tuple(rests))
