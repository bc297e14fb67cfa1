"""What is counted for a rule: one meter each, in integer nanoseconds of a clock that never goes back.

A meter is asked for the earliest time at which it has room, and told what was taken. It is exact: a call that waits
until that time fits, and one nanosecond earlier it would not. Meters know neither tasks nor locks: whoever takes from
several asks all of them first, with nothing in between.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Protocol

from market_data_pipeline.contracts.budget import AnyRule, Concurrency, Gcra, MinGap, Window

NEVER: Final = 2**63 - 1
"""When there is room: only after somebody gives something back."""

ENTRIES: Final = 1_024
"""What a window remembers at most: larger limits are kept in as many steps, each counted as late as its latest call."""

RUN_NS: Final = 10_000_000
"""How long calls of an even rate are taken for one run: a refund comes within it, or changes nothing."""


class Meter(Protocol):
    """The count of one rule for one set of keys."""

    rule: Any

    def earliest(self, now: int, cost: int, /) -> int:
        """Return the first time at which `cost` fits, ns; up to `now`: it fits at once; `NEVER`: not by time alone."""
        ...

    def take(self, now: int, cost: int, /) -> None:
        """Count what goes out now; there is room for it."""
        ...

    def refund(self, at: int, cost: int, /) -> None:
        """Forget what was taken at that time: it never went out."""
        ...

    def release(self, cost: int, /) -> None:
        """Note that what was taken has ended."""
        ...

    def used(self, now: int, /) -> int:
        """Return how much of its limit is taken."""
        ...

    def idle(self, now: int, /) -> bool:
        """Tell whether it is as good as new and may be forgotten."""
        ...

    def change(self, rule: Any, slack_ns: int, now: int, /) -> None:
        """Go on under other numbers of the same kind of rule; what was taken stays taken (RC-14)."""
        ...

    def dump(self) -> Any:
        """Return its state as plain data."""
        ...

    def load(self, state: Any, /) -> None:
        """Take over what another one of the same rule has dumped."""
        ...


class Plain:
    """What most meters have in common: what went out stays counted when it ends."""

    __slots__ = ()

    def release(self, cost: int) -> None:
        """Do nothing."""


class _WindowMeter(Plain):
    """A log of what went out: no interval of the window's length holds more than its limit (RC-2)."""

    __slots__ = ("_limit", "_log", "_period", "_step", "_sum", "rule")

    def __init__(self, rule: Window, slack_ns: int) -> None:
        self._log: deque[tuple[int, int, int]] = deque()  # (when its last went out, how much, when its first), in order
        self._sum = 0
        self.change(rule, slack_ns, 0)

    def earliest(self, now: int, cost: int) -> int:
        log = self._log
        while log and log[0][0] <= now - self._period:
            self._sum -= log.popleft()[1]
        excess = self._sum + cost - self._limit
        if excess <= 0:
            return now
        for when, much, _ in log:
            excess -= much
            if excess <= 0:
                return when + self._period
        return NEVER

    def take(self, now: int, cost: int) -> None:
        self._sum += cost
        log = self._log
        if log and now - log[-1][2] < self._step:
            _, much, began = log[-1]
            log[-1] = now, much + cost, began
        else:
            log.append((now, cost, now))

    def refund(self, at: int, cost: int) -> None:
        for back, (when, much, began) in enumerate(reversed(self._log), 1):
            if began <= at:  # else it came later: where all did, nothing of that time is remembered
                self._log[-back] = when, much - cost, began
                self._sum -= cost
                return

    def used(self, now: int) -> int:
        return sum(much for when, much, _ in self._log if when > now - self._period)

    def idle(self, now: int) -> bool:
        return not self._log or self._log[-1][0] <= now - self._period

    def change(self, rule: Window, slack_ns: int, _now: int) -> None:
        self.rule: Window = rule
        self._limit = rule.limit
        self._period = rule.period_ns + slack_ns
        self._step = max(1, self._period // ENTRIES) if rule.limit > ENTRIES else 1

    def dump(self) -> Any:
        return list(self._log)

    def load(self, state: Any) -> None:
        self._log = deque(map(tuple, state))
        self._sum = sum(much for _, much, _ in self._log)


class GcraMeter(Plain):
    """The theoretical arrival time, in nanoseconds times the rule's limit, so that no rate is rounded."""

    __slots__ = ("_ahead", "_began", "_due", "_last", "_limit", "_period", "_run", "rule")

    def __init__(self, rule: Gcra, slack_ns: int) -> None:
        self._due = 0
        self._limit, self._period = rule.limit, rule.period_ns
        self.change(rule, slack_ns, 0)
        self._began = 0

    def earliest(self, now: int, cost: int) -> int:
        """Return when what is due before has gone out."""
        due = self._due + cost * self._period - self._ahead
        return now if due <= now * self._limit else -(-due // self._limit)

    def take(self, now: int, cost: int) -> None:
        """Put off what comes next."""
        start = now * self._limit
        self._due = max(start, self._due) + cost * self._period
        if now - self._began > RUN_NS:
            self._began, self._run = now, 0
        self._last = now
        self._run += cost

    def admit(self, now: int, cost: int) -> bool:
        """Take `cost` if there is room for it."""
        now *= self._limit
        due = (self._due if self._due > now else now) + cost * self._period  # noqa: FURB136 (`max` takes thrice the time)
        if due - self._ahead > now:
            return False
        self._due = due
        return True

    def refund(self, at: int, cost: int) -> None:
        """Bring forward what comes next, as far as what came later allows."""
        if at < self._began:
            return
        self._run -= cost
        # What came later may be due at least as late as if all that is left of the run had come at its end.
        rest = min(self._due, self._last * self._limit + self._run * self._period)
        self._due = max(self._due - cost * self._period, rest)

    def used(self, now: int) -> int:
        """Return how much of the burst is not there again; a part of one counts as one."""
        return max(0, -(-(self._due - now * self._limit) // self._period))

    def idle(self, now: int) -> bool:
        """Tell whether the whole burst is there again."""
        return self._due <= now * self._limit

    def change(self, rule: Gcra, _slack_ns: int, now: int) -> None:
        """Go on at another rate."""
        self.rule: Gcra = rule
        ahead = max(0, self._due - now * self._limit)  # what is not refilled up to now, at the old rate
        self._due = now * rule.limit - (-ahead * rule.period_ns // self._period)
        self._limit, self._period = rule.limit, rule.period_ns
        self._ahead = rule.burst * rule.period_ns  # how far it may be due in advance
        self._began = now + 1  # the first call of those that may be refunded
        self._last = now  # the last of them
        self._run = 0  # what they cost

    def dump(self) -> Any:
        """Return the theoretical arrival time as two numbers of 64 bits, and what may be refunded."""
        return *divmod(self._due, self._limit), self._began, self._last, self._run

    def load(self, state: Any) -> None:
        """Take over what another one has dumped."""
        whole, rest, self._began, self._last, self._run = state
        self._due = whole * self._limit + rest


class _GapMeter(Plain):
    """The times of the last two calls: the one before counts again when the last is refunded."""

    __slots__ = ("_before", "_gap", "_last", "rule")

    def __init__(self, rule: MinGap, slack_ns: int) -> None:
        self._last: int | None = None
        self._before: int | None = None
        self.change(rule, slack_ns, 0)

    def earliest(self, now: int, _cost: int) -> int:
        return now if self._last is None else self._last + self._gap

    def take(self, now: int, _cost: int) -> None:
        self._before, self._last = self._last, now

    def refund(self, at: int, _cost: int) -> None:
        if self._last == at:
            self._last = self._before

    def used(self, now: int) -> int:
        return int(not self.idle(now))

    def idle(self, now: int) -> bool:
        return self._last is None or self._last + self._gap <= now

    def change(self, rule: MinGap, slack_ns: int, _now: int) -> None:
        self.rule: MinGap = rule
        self._gap = rule.gap_ns + slack_ns

    def dump(self) -> Any:
        return self._last, self._before

    def load(self, state: Any) -> None:
        self._last, self._before = state


class OpenMeter:
    """How much is in use, by whom: a store that several processes share says who takes, and whose process has ended."""

    __slots__ = ("_limit", "holders", "owner", "rule")

    def __init__(self, rule: Concurrency, slack_ns: int) -> None:
        self.holders: dict[str, int] = {}
        self.owner: str = ""
        self.change(rule, slack_ns, 0)

    def earliest(self, now: int, cost: int) -> int:
        """Return `now` if there is room, else `NEVER`."""
        return now if sum(self.holders.values()) + cost <= self._limit else NEVER

    def take(self, _now: int, cost: int) -> None:
        """Let the owner hold more."""
        self.holders[self.owner] = self.holders.get(self.owner, 0) + cost

    def refund(self, _at: int, cost: int) -> None:
        """Let the owner hold less."""
        self.release(cost)

    def release(self, cost: int) -> None:
        """Let the owner hold less."""
        left = self.holders.get(self.owner, 0) - cost
        if left > 0:
            self.holders[self.owner] = left
        else:
            self.holders.pop(self.owner, None)

    def used(self, _now: int) -> int:
        """Return how much all of them hold."""
        return sum(self.holders.values())

    def idle(self, _now: int) -> bool:
        """Tell whether nobody holds anything."""
        return not self.holders

    def change(self, rule: Concurrency, _slack_ns: int, _now: int) -> None:
        """Go on under another limit."""
        self.rule: Concurrency = rule
        self._limit = rule.limit

    def dump(self) -> Any:
        """Return who holds how much."""
        return dict(self.holders)

    def load(self, state: Any) -> None:
        """Take over who holds how much."""
        self.holders = dict(state)


_METERS: Final[dict[str, Any]] = {
    "window": _WindowMeter,
    "gcra": GcraMeter,
    "min_gap": _GapMeter,
    "concurrency": OpenMeter,
}


def make_meter(rule: AnyRule, slack_ns: int) -> Meter:
    """Return an empty meter.

    Args:
        rule: What it counts for.
        slack_ns: By how much it stretches times, so that calls that move together on their way still keep the rule as
            the vendor sees it (RC-3). An even rate and what is held need none.
    """
    meter: Meter = _METERS[rule.kind](rule, slack_ns)
    return meter
