"""Whether a budget makes sense: rules that let nothing through, rules that never matter, and names that mislead."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from market_data_pipeline.contracts.bounds import at_once, counts_cost, idles, limit_of, most, period_of
from market_data_pipeline.contracts.budget import SECOND_NS, AnyRule, Concurrency, Gcra, MinGap, Window

NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
TAKEN: Final = frozenset({"cooldown", "retries"})
"""Names under which messages and `mdp budgets` show what is no rule."""

SHORTEST_NS: Final = 1_000_000
"""The least time of a rule, ns: what is less is meant in seconds, and no loop tells it."""

Code: TypeAlias = Literal["name", "time", "contradiction", "never_binds", "unused"]


@attrs.frozen(kw_only=True)
class PlannedCall:
    """A kind of call that a plugin makes."""

    operation: str
    cost: int = 1
    """The most that it costs."""
    keys: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    """The names of the keys that it says."""


@attrs.frozen(kw_only=True)
class BudgetFinding:
    """Something about a budget that cannot be meant."""

    code: Code
    """What kind of thing: of a name, a time and a contradiction calls fail, the others are idle."""
    rule: str
    """The rule that it is about."""
    what: str
    why: str
    """The numbers that prove it."""
    cure: str

    @property
    def is_error(self) -> bool:
        """Whether calls fail because of it."""
        return self.code in {"name", "time", "contradiction"}

    def __str__(self) -> str:
        return f"rule {self.rule!r}: {self.what}: {self.why}; {self.cure}"


def check_budget(
    rules: Sequence[AnyRule], *, held: Mapping[str, int] | None = None, calls: Iterable[PlannedCall] | None = None
) -> tuple[BudgetFinding, ...]:
    """Return what cannot be meant in a budget, rule by rule; nothing: it is consistent.

    That a rule never binds is proved for rules up to 1 024 in a window; a larger window is kept in steps, and may make
    a call wait a thousandth of its length longer.

    Args:
        rules: The budget.
        held: `Capabilities.held` of its provider: a lease is of one of these or of a `Concurrency` rule.
        calls: All that the plugin calls; left out: that is not known.
    """
    calls = None if calls is None else tuple(calls)
    return tuple(
        finding
        for index, rule in enumerate(rules)
        for found in (
            misnamed(rule, rules),
            mistimed(rule),
            _leases(rule, held or {}),
            () if calls is None else _calls(rule, calls),
            _idle(rule, index, rules),
        )
        for finding in found
    )


def described(rule: AnyRule) -> str:
    """Return a rule in words, such as "60 in 600 s" or "45 a second, 45 at once"."""
    if isinstance(rule, MinGap):
        text = f"{_seconds(rule.gap_ns)} apart"
    elif isinstance(rule, Concurrency):
        text = f"{rule.limit} at a time"
    else:
        text = f"{rule.limit} in {_seconds(rule.period_ns)}"
    if isinstance(rule, Gcra):
        text += f", {rule.burst} at once"
    if isinstance(rule, Window | Gcra) and rule.counts == "calls":
        text += ", each call as one"
    if rule.operations is not None:
        text += f", of {', '.join(sorted(rule.operations)) or 'leases alone'}"
    return text + (f", per {' and '.join(rule.per)}" if rule.per else "")


def _seconds(ns: int) -> str:
    return f"{ns / SECOND_NS:g} s"


def misnamed(rule: AnyRule, rules: Sequence[AnyRule]) -> Iterator[BudgetFinding]:
    """Yield why a rule of these cannot have its name: then no account is made with them."""

    def wrong(why: str) -> BudgetFinding:
        return BudgetFinding(
            code="name",
            rule=rule.name,
            what="its name is no good",
            why=why,
            cure="give each rule a name of its own, such as 'history' or 'history.same'",
        )

    if Counter(each.name for each in rules)[rule.name] > 1:
        yield wrong("another rule has it too")
    if not NAME.fullmatch(rule.name):
        yield wrong("it is not a small letter and up to 63 of a-z, 0-9, _ . -")
    if rule.name in TAKEN:
        yield wrong("it is that of what the core itself shows beside rules")


def mistimed(rule: AnyRule) -> Iterator[BudgetFinding]:
    """Yield why a rule cannot have its time: then no account is made with it."""
    if not isinstance(rule, Concurrency) and (time := period_of(rule)) < SHORTEST_NS:
        yield BudgetFinding(
            code="time",
            rule=rule.name,
            what=f"its time is {time} ns",
            why="times are in nanoseconds, and that is less than a millisecond",
            cure=f"write {time} * SECOND_NS for seconds",
        )


def _leases(rule: AnyRule, held: Mapping[str, int]) -> Iterator[BudgetFinding]:
    is_held = rule.name in held
    if is_held and not isinstance(rule, Concurrency):
        yield BudgetFinding(
            code="contradiction",
            rule=rule.name,
            what="nothing of that name can be leased",
            why=f"it is a {rule.kind}, and stands in the place of the held limit of {held[rule.name]}",
            cure="name it otherwise, or make it a Concurrency rule",
        )
    elif is_held and isinstance(rule, Concurrency) and rule.limit != held[rule.name]:
        yield BudgetFinding(
            code="contradiction",
            rule=rule.name,
            what="it contradicts the capabilities",
            why=f"it allows {rule.limit}, and capabilities.held says {held[rule.name]}",
            cure="say the same number in both",
        )
    if isinstance(rule, Concurrency) and rule.per and (is_held or rule.operations == frozenset()):
        yield BudgetFinding(
            code="contradiction",
            rule=rule.name,
            what="no lease of it is ever granted",
            why=f"it counts by {', '.join(rule.per)}, and a lease says no keys",
            cure="leave out `per`",
        )


def _calls(rule: AnyRule, calls: Sequence[PlannedCall]) -> Iterator[BudgetFinding]:
    counted = [call for call in calls if rule.concerns(call.operation)]
    for call in counted:
        amount = call.cost if counts_cost(rule) else 1
        if amount > at_once(rule):
            yield BudgetFinding(
                code="contradiction",
                rule=rule.name,
                what=f"no call of {call.operation!r} ever goes out",
                why=f"it costs {amount}, and the rule allows {at_once(rule)} at once",
                cure="raise the limit or the burst, or cut the call into several",
            )
        if missing := sorted(set(rule.per) - call.keys):
            yield BudgetFinding(
                code="contradiction",
                rule=rule.name,
                what=f"no call of {call.operation!r} ever goes out",
                why=f"the rule counts by {', '.join(rule.per)}, and the call does not say {', '.join(missing)}",
                cure=f"say all of them in keys of services.call({call.operation!r}), or narrow the rule's operations",
            )
    if rule.operations and not counted:
        yield _unused(rule, f"nobody calls {', '.join(sorted(rule.operations))}")


def _idle(rule: AnyRule, index: int, rules: Sequence[AnyRule]) -> Iterator[BudgetFinding]:
    if rule.operations == frozenset():
        if not isinstance(rule, Concurrency):
            yield _unused(rule, f"its operations are none, and a {rule.kind} is for calls alone")
        return
    for place, other in enumerate(rules):
        if place == index or not idles(rule, other):
            continue
        if place > index and idles(other, rule):
            continue  # they say the same: the later one goes
        yield BudgetFinding(
            code="never_binds",
            rule=rule.name,
            what=f"no call ever waits for it, because of {other.name!r}",
            why=_proof(rule, other),
            cure=f"leave it out, or correct {other.name!r}",
        )
        return


def _proof(rule: AnyRule, by: AnyRule) -> str:
    if isinstance(rule, Concurrency) or isinstance(by, Concurrency):
        return f"it allows {described(rule)}, and {by.name!r} already {described(by)}; leases of it apart"
    if isinstance(rule, Gcra):
        return f"it allows {described(rule)}, and {by.name!r} no more than {described(by)}"
    much = most(by, period_of(rule))
    return f"{described(by)} is {much} in {_seconds(period_of(rule))} at most, and it allows {limit_of(rule)}"


def _unused(rule: AnyRule, why: str) -> BudgetFinding:
    return BudgetFinding(
        code="unused",
        rule=rule.name,
        what="it counts nothing",
        why=why,
        cure="correct its operations, or leave it out",
    )
