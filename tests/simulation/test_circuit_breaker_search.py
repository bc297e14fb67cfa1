"""Every state that a small circuit breaker can come into, and every step out of each: nothing is sampled (I1 to I8).

Four callers, of whom each is idle or in a call; a clock that ticks; every outcome; an operator. Two worlds are the same
when nothing that anybody could do from then on tells them apart: times are relative to now, callers have no names.
The share of failures is left out, since a window of sixty buckets has more states than atoms; lists check it elsewhere.
"""

import copy
from collections import Counter, deque

import pytest

from market_data_pipeline.breaking import BreakerPolicy, CircuitBreaker, Permit
from market_data_pipeline.errors import CircuitBreakerOpen

WAIT, CAP, LEASE = 1, 2, 2
LONG = LEASE + 1 + CAP
"""Ticks after which nothing is to be waited for."""

STEADY = {"tick", "acquire", "success", "refused"}
"""What happens when the provider works."""

ENDS = {
    "success": Permit.succeed,
    "success, the time at hand": lambda permit: permit.succeed(permit._clock.monotonic_ns()),
    "failure": Permit.fail,
    "ignored": Permit.ignore,
    "cancelled": Permit.cancel,
    "forced": lambda permit: permit.force("no"),
}


class HandClock:
    now = 100

    def monotonic_ns(self):
        return self.now


class NoJitter:
    def random(self):
        return 0.5


class Told(list):
    """A listener that a copy of its world has a copy of."""

    def __call__(self, event):
        self.append(event)


class World:
    def __init__(self, callers, probes, successes):
        policy = BreakerPolicy(
            threshold=2,
            failure_rate=None,
            base_wait_ns=WAIT,
            max_wait_ns=CAP,
            jitter=0.0,
            probe_concurrency=probes,
            probe_successes=successes,
            max_probe_ns=LEASE,
        )
        self.clock, self.told, self.callers = HandClock(), Told(), [None] * callers
        self.breaker = CircuitBreaker(policy=policy, clock=self.clock, random=NoJitter(), on_event=self.told)

    def live(self, permit):
        """Whether a permit is one that still counts: 0 shared, else how long it may be out."""
        breaker = self.breaker
        if permit in breaker._probes:
            return max(breaker._probes[permit] - self.clock.now, -LONG) + 1000
        return 0 if permit is breaker._shared else -1

    def key(self):
        breaker = self.breaker
        until = None if breaker._until is None else max(0, breaker._until - self.clock.now)
        callers = sorted(-2 if permit is None else self.live(permit) for permit in self.callers)
        row = min(breaker._calls.consecutive_failures, 2)
        quick = self.clock.now < breaker._shared.quick_until_ns
        return (breaker._state, until, min(breaker._attempt, CAP), row, breaker._streak, quick, *callers)

    def steps(self):
        """What can happen now, as (name, which caller)."""
        kinds = {}
        for which, permit in enumerate(self.callers):
            kinds.setdefault(-2 if permit is None else self.live(permit), which)
        for kind, which in kinds.items():
            yield from [("acquire", which)] if kind == -2 else [(end, which) for end in ENDS]
        for what in ("tick", "clear", "force", "force for a tick", "disable", "disable for a tick"):
            yield what, 0

    def act(self, what, which):
        """Take one step, and return what it was."""
        breaker, soon = self.breaker, self.clock.now + 1
        if what == "tick":
            self.clock.now = soon
        elif what == "clear":
            breaker.clear()
        elif what.startswith("force "):
            breaker.force_open("stop", until_ns=soon)
        elif what == "force":
            breaker.force_open("stop")
        elif what.startswith("disable"):
            breaker.disable("go on", until_ns=soon if what.endswith("tick") else None)
        elif what == "acquire":
            try:
                self.callers[which] = breaker.acquire()
            except CircuitBreakerOpen:
                return "refused"
        else:
            permit, self.callers[which] = self.callers[which], None
            ENDS[what](permit)
        return what

    def seen_later(self):
        """What would be seen after so long that nothing is to be waited for."""
        self.clock.now += LONG
        try:
            return self.breaker.state, self.breaker.retry_after_ns
        finally:
            self.clock.now -= LONG


def check(world, what, state, refuses):
    """What must hold after a step out of `state`, in which a call would have been refused or not."""
    breaker, status = world.breaker, world.breaker.status()
    counting = [permit for permit in world.callers if permit is not None and world.live(permit) >= 0]
    assert len(breaker._probes) <= breaker.policy.probe_concurrency  # I2
    assert status.in_flight == len(counting)  # I3, I6
    assert breaker._shared.taken == breaker._shared.returned + breaker._shared.quick + breaker._calls.in_flight
    kinds = [event.kind for event in world.told]
    if what in {"acquire", "refused"}:
        assert refuses == (what == "refused")  # I1: what is seen beforehand is what a call finds
    if state in {"open", "half_open"} and status.state == "closed":
        assert (what, state) in {("clear", "open"), ("clear", "half_open"), *((end, "half_open") for end in ENDS)}  # I4
    assert len(kinds) == len(set(kinds)) or kinds == ["opened", "half_opened", "opened"]
    assert status.generation - world.generation == len([kind for kind in kinds if kind != "rejected"])  # CB-13
    if breaker._state in {1, 2}:
        assert world.seen_later() == ("half_open", 0)  # never stuck, whoever does not report


def search(callers, probes, successes):
    """Visit every world; return how many there are, and how often each kind of step was taken."""
    first = World(callers, probes, successes)
    seen, todo, taken = {first.key()}, deque([first]), Counter()
    before = {}  # by world, those from which a step of a working provider leads there
    closed = set()
    while todo:
        world = todo.popleft()
        key, state = world.key(), world.breaker.state
        refuses = world.breaker.retry_after_ns != 0
        if state == "closed":
            closed.add(key)
        for step, which in list(world.steps()):
            after = copy.deepcopy(world)
            after.told.clear()
            after.generation = after.breaker._generation
            what = after.act(step, which)
            check(after, what, state, refuses)
            taken[what] += 1
            there = after.key()
            if what in STEADY:
                before.setdefault(there, set()).add(key)
            if there not in seen:
                seen.add(there)
                todo.append(after)
    healing, reached = deque(closed), set(closed)
    while healing:
        for key in before.get(healing.popleft(), set()) - reached:
            reached.add(key)
            healing.append(key)
    stuck = [key for key in seen - reached if key[0] in {1, 2}]
    assert stuck == []  # I8: from everywhere, a provider that works is used again
    return len(seen), taken


@pytest.mark.parametrize("successes", [1, 2])
@pytest.mark.parametrize("probes", [1, 2])
def test_no_state_of_a_small_breaker_breaks_an_invariant(probes, successes):
    """I1 to I4, I6, I8, CB-7, CB-9, CB-10, CB-13, with four callers; worlds of fewer callers are among these."""
    worlds, taken = search(4, probes, successes)
    assert worlds > 700
    assert set(taken) == {
        *("acquire", "refused", "tick", "clear", "force", "force for a tick", "disable", "disable for a tick", *ENDS),
    }
