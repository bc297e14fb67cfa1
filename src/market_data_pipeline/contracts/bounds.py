"""What a rule of a budget lets through at most, in an interval and in the long run; and which it makes idle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from market_data_pipeline.contracts.budget import SECOND_NS, AnyRule, Concurrency, Gcra, MinGap, Window

STRETCHES: Final = (0, 50_000_000)
"""By how much windows and gaps may be stretched, ns: as they stand, and as a runtime does unless told otherwise."""


@attrs.frozen(kw_only=True)
class LongRunRate:
    """What an operation is held to when there is always more to do."""

    operation: str
    """The operation; "": each that no rule names."""
    per_sec: float | None
    """Cost or calls a second; None: no rule limits them."""
    rule: str
    """The rule that sets it; empty: none."""
    per: tuple[str, ...]
    """The keys by which that rule counts: the rate is that of each of their values."""


def long_run(rules: Sequence[AnyRule]) -> tuple[LongRunRate, ...]:
    """Return the rate of each operation that rules name, and of all others: the least that one of its rules allows.

    Rules that count all calls together come first; those that count by key set it where there is no such rule.
    """
    named = sorted({operation for rule in rules for operation in rule.operations or ()})
    return tuple(rate_of(operation, rules) for operation in (*named, ""))


def rate_of(operation: str, rules: Sequence[AnyRule]) -> LongRunRate:
    """Return the rate of an operation: the least that one of its rules allows, of those that count all calls if any."""
    rated = [
        (bool(rule.per), limit_of(rule) * SECOND_NS / period_of(rule), rule)
        for rule in rules
        if not isinstance(rule, Concurrency) and rule.concerns(operation)
    ]
    if not rated:
        return LongRunRate(operation=operation, per_sec=None, rule="", per=())
    _, per_sec, rule = min(rated, key=lambda each: each[:2])
    return LongRunRate(operation=operation, per_sec=per_sec, rule=rule.name, per=rule.per)


def limit_of(rule: Window | Gcra | MinGap) -> int:
    """Return how much a rule allows in `period_of` it."""
    return 1 if isinstance(rule, MinGap) else rule.limit


def period_of(rule: Window | Gcra | MinGap) -> int:
    """Return the time for which its limit holds, ns; a gap is a window of one call."""
    return rule.gap_ns if isinstance(rule, MinGap) else rule.period_ns


def at_once(rule: AnyRule) -> int:
    """Return how much a rule allows at one time."""
    return rule.burst if isinstance(rule, Gcra) else 1 if isinstance(rule, MinGap) else rule.limit


def counts_cost(rule: AnyRule) -> bool:
    """Tell whether a rule counts the cost of calls; else each call is one."""
    return isinstance(rule, Window | Gcra) and rule.counts == "cost"


def covers(wide: AnyRule, narrow: AnyRule) -> bool:
    """Tell whether `wide` counts together, and at least as much, all that `narrow` counts together."""
    if counts_cost(narrow) and not counts_cost(wide):
        return False  # a call may cost more than one
    if wide.operations is not None and (narrow.operations is None or not narrow.operations <= wide.operations):
        return False
    return set(wide.per) <= set(narrow.per)


def most(rule: Window | Gcra | MinGap, interval_ns: int, stretch_ns: int = 0) -> int:
    """Return how much a rule lets through at most in an interval that does not hold its own end.

    A window of T ns that is filled whenever it is empty fits ceil(interval / T) times. A rate gives its burst at the
    beginning, and what has grown up to the last nanosecond.
    """
    if isinstance(rule, Gcra):
        return rule.burst + (interval_ns - 1) * rule.limit // rule.period_ns
    return limit_of(rule) * -(-interval_ns // (period_of(rule) + stretch_ns))


def idles(rule: AnyRule, by: AnyRule) -> bool:
    """Tell whether a rule never makes a call wait longer than another one does, whatever is called and when."""
    return covers(by, rule) and all(_within(rule, by, stretch) for stretch in STRETCHES)


def _within(rule: AnyRule, by: AnyRule, stretch: int) -> bool:
    if isinstance(rule, Concurrency) or isinstance(by, Concurrency):
        return isinstance(rule, Concurrency) and isinstance(by, Concurrency) and by.limit <= rule.limit
    if not isinstance(rule, Gcra):
        return most(by, period_of(rule) + stretch, stretch) <= limit_of(rule)
    period = period_of(by) + (0 if isinstance(by, Gcra) else stretch)
    return at_once(by) <= rule.burst and limit_of(by) * rule.period_ns <= rule.limit * period
