"""A look at a budget: how much of each rule is taken, by whom, and what rests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from market_data_pipeline.contracts.budget import AnyRule
from market_data_pipeline.pacing.feedback import FeedbackMeter
from market_data_pipeline.pacing.meters import OpenMeter
from market_data_pipeline.pacing.routes import keys_of
from market_data_pipeline.pacing.store import Slot

MOST_KEYS: Final = 1_000
"""At how many keys of a rule a look looks: a file is locked meanwhile, for about a hundredth of a millisecond each."""


@attrs.frozen(kw_only=True)
class KeyUsage:
    """How much of a rule is taken for one set of keys."""

    keys: Mapping[str, str]
    used: int


@attrs.frozen(kw_only=True)
class RuleUsage:
    """How much of a rule is taken."""

    rule: str
    used: int
    """Within the window, of the burst, or at a time; of a least gap: 1 while it lasts. By keys: of the fullest."""
    holders: Mapping[str, int] = attrs.field(factory=dict)
    """Who holds how much of what is given back, by the owner's number in a shared store; "" in one of this process."""
    keys: tuple[KeyUsage, ...] = ()
    """Of a rule that counts by keys: those for which something is taken, the fullest first."""
    is_partial: bool = False
    """Whether there are more keys than `MOST_KEYS`, and not all were looked at."""


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
    """By name."""
    rests: tuple[Rest, ...]
    """The cooldowns and shrunk rates that there are."""


_Seen: TypeAlias = RuleUsage | Rest | tuple[str, KeyUsage]


def see(meter: Any, slot: Slot, now: int) -> _Seen:
    """Return what is to be seen of a meter at a time of its store, ns."""
    if isinstance(meter, FeedbackMeter):
        return Rest(operation=meter.rule.scope, left_ns=max(0, meter.until - now), rate=meter.rate)
    if slot.apart:
        return slot.rule.name, KeyUsage(keys=keys_of(slot), used=meter.used(now))
    holders = dict(meter.holders) if isinstance(meter, OpenMeter) else {}
    return RuleUsage(rule=slot.rule.name, used=meter.used(now), holders=holders)


def usage_of(rules: Iterable[AnyRule], seen: Iterable[_Seen]) -> Usage:
    """Return the whole of what was seen of the meters of rules."""
    usages: dict[str, RuleUsage] = {}
    rests = []
    by_key: dict[str, list[KeyUsage]] = {rule.name: [] for rule in rules if rule.per}
    for one in seen:
        if isinstance(one, RuleUsage):
            usages[one.rule] = one
        elif isinstance(one, tuple):
            by_key[one[0]].append(one[1])
        elif one.left_ns or one.rate:
            rests.append(one)
    for name, each in by_key.items():
        taken = sorted((key for key in each if key.used), key=lambda key: (-key.used, *key.keys.values()))
        used = taken[0].used if taken else 0
        usages[name] = RuleUsage(rule=name, used=used, keys=tuple(taken), is_partial=len(each) > MOST_KEYS)
    return Usage(rules=usages, rests=tuple(rests))
