"""The circuit breaker against a model that keeps lists and computes all from them (CB-1, CB-2, CB-3, CB-5 to CB-10)."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from market_data_pipeline.breaking import BreakerPolicy, CircuitBreaker
from market_data_pipeline.errors import CircuitBreakerOpen

SECOND = 1_000_000_000
VOTES = {"success", "failure", "forced"}

POLICY = {
    "threshold": range(1, 7),
    "min_calls": range(1, 13),
    "failure_rate": (None, 0.25, 0.5, 1.0),
    "window_ns": (60 * SECOND, 10 * SECOND, 601),
    "base_wait_ns": (1, 5 * SECOND),
    "max_wait_ns": (5 * SECOND, 15 * SECOND, 60 * SECOND),
    "jitter": (0.0, 0.2),
    "probe_concurrency": range(1, 4),
    "probe_successes": range(1, 4),
    "max_probe_ns": (1, 30 * SECOND),
}
OUTCOMES = (*("success", "failure") * 4, *("ignored", "cancelled") * 2, "forced")
WAITS = (1, 9, 10, 11, SECOND // 2, SECOND, 6 * SECOND, 61 * SECOND, 3600 * SECOND)


class HandClock:
    """Monotonic time by hand. The wall clock jumps to somewhere else whenever somebody looks (I7)."""

    now = 0

    def monotonic_ns(self):
        return self.now

    def time_ns(self):
        return random.Random(self.now).randrange(2**60)

    async def sleep_until(self, monotonic_ns):
        raise NotImplementedError


class Model:
    """What the table says, without a ring, shared permits or shortcuts.

    `taken` are the permits of the present generation as [id, deadline or None], `ended` what came of them, `votes` the
    times of those that count, with whether they failed.
    """

    def __init__(self, policy, seed):
        numbers = random.Random(seed)
        self.policy, self.draws = policy, [numbers.random() for _ in range(200)]
        self.counts, self.events, self.generation = Counter(), [], -1
        self.attempt, self.ids = 0, 0
        self.begin("closed", None)
        self.events.clear()

    def begin(self, state, until):
        self.state, self.until = state, until
        self.taken, self.ended, self.votes, self.streak = [], [], [], 0
        self.generation += 1
        kinds = {"closed": "closed", "open": "opened", "half_open": "half_opened", "forced_open": "forced"}
        self.events.append(kinds.get(state, state))

    def close(self):
        self.attempt = 0
        self.begin("closed", None)

    def open(self, at, asked=0):
        self.attempt += 1
        wait = min(self.policy.base_wait_ns * 2 ** (self.attempt - 1), self.policy.max_wait_ns)
        drawn, *self.draws = self.draws
        self.begin("open", at + max(asked, wait + int(wait * self.policy.jitter * (2 * drawn - 1))))

    def lose(self, now):
        deadlines = [deadline for _, deadline in self.taken if self.state == "half_open" and deadline < now]
        if deadlines:
            self.open(min(deadlines))

    def catch_up(self, now):
        self.lose(now)
        if self.until is not None and now >= self.until:
            if self.state == "disabled":
                self.close()
            else:
                self.begin("half_open", None)

    def acquire(self, now):
        self.catch_up(now)
        full = self.state == "half_open" and len(self.taken) >= self.policy.probe_concurrency
        if full or self.state in {"open", "forced_open"}:
            self.counts["rejected"] += 1
            self.events.append("rejected")
            return None
        self.ids += 1
        self.taken.append((self.ids, now + self.policy.max_probe_ns))
        return self.ids

    def release(self, permit, outcome, now, asked):
        self.lose(now)
        mine = [each for each in self.taken if each[0] == permit]
        if not mine:
            self.counts["late"] += 1
            return
        self.taken.remove(mine[0])
        self.end(outcome, now, asked)

    def record(self, outcome, now):
        self.catch_up(now)
        if self.state in {"open", "forced_open"}:
            self.counts["late"] += 1
        else:
            self.end(outcome, now, 0)

    def end(self, outcome, now, asked):
        self.counts[outcome] += 1
        self.ended.append(outcome)
        if outcome == "forced" and self.state != "disabled":
            self.begin("forced_open", None)
        elif self.state == "half_open":
            self.streak += outcome == "success"
            if outcome == "failure":
                self.open(now, asked)
            elif self.streak >= self.policy.probe_successes:
                self.close()
        elif outcome in VOTES:
            self.votes.append((now, outcome != "success"))
            if self.state == "closed" and self.too_much(now):
                self.open(now, asked)

    def in_window(self, now):
        width = -(-self.policy.window_ns // 60)
        lately = [failed for at, failed in self.votes if at // width > now // width - 60]
        return len(lately), sum(lately)

    def in_a_row(self):
        answers = [failed for _, failed in self.votes]
        return next((n for n, failed in enumerate(reversed(answers)) if not failed), len(answers))

    def too_much(self, now):
        calls, failures = self.in_window(now)
        rate = self.policy.failure_rate
        often = rate is not None and calls >= self.policy.min_calls and failures / calls >= rate
        return self.in_a_row() >= self.policy.threshold or often


class Pair:
    """Does the same to a breaker and to the model, and compares what can be seen."""

    def __init__(self, policy, seed):
        self.policy, self.clock, self.told = policy, HandClock(), []
        self.model = Model(policy, seed)
        self.breaker = CircuitBreaker(
            policy=policy, clock=self.clock, random=random.Random(seed), on_event=self.told.append
        )
        self.permits = []  # those that are out, of all generations: (the model's, ours)

    def acquire(self):
        expected = self.model.acquire(self.clock.now)
        if expected is None:
            with pytest.raises(CircuitBreakerOpen) as refusal:
                self.breaker.acquire()
            assert refusal.value.retry_after is None or refusal.value.retry_after > 0
        else:
            self.permits.append((expected, self.breaker.acquire()))

    def release(self, which, outcome, asked, at_hand):
        now = self.clock.now
        expected, permit = self.permits.pop(which % len(self.permits))
        asked = asked if outcome == "failure" else 0
        self.model.release(expected, outcome, now, asked)
        if outcome == "success":
            permit.succeed(now if at_hand else None)
        elif outcome == "failure":
            permit.fail(retry_after_ns=asked, now_ns=now if at_hand else None)
        elif outcome == "forced":
            permit.force("no")
        else:
            {"ignored": permit.ignore, "cancelled": permit.cancel}[outcome]()

    def record(self, outcome):
        self.model.record(outcome, self.clock.now)
        call = {"success": self.breaker.record_success, "failure": self.breaker.record_failure}[outcome]()
        with pytest.raises(StopIteration):
            call.send(None)

    def wait(self, wait):
        self.clock.now += wait

    def wait_as_told(self, short):
        self.clock.now += max(0, (self.breaker.retry_after_ns or 0) - short)

    def override(self, what, expiry):
        until = None if expiry is None else self.clock.now + expiry
        if what == "force":
            self.breaker.force_open("stop", until_ns=until)
            self.model.begin("forced_open", until)
        elif what == "disable":
            self.breaker.disable("go on", until_ns=until)
            self.model.begin("disabled", until)
        else:
            self.breaker.clear()
            self.model.close()

    def next_state(self):
        """The state that a call would find, by letting a copy of the model find it."""
        twin = Model.__new__(Model)
        vars(twin).update(vars(self.model), events=[])
        twin.catch_up(self.clock.now)
        return twin.state

    def compare(self):
        now, model, status = self.clock.now, self.model, self.breaker.status()
        assert status.state == self.next_state()
        assert (status.calls, status.failures) == model.in_window(now)  # I5
        assert status.consecutive_failures == model.in_a_row()
        assert (status.generation, status.attempt) == (model.generation, model.attempt)
        assert (status.in_flight, status.probe_successes) == (len(model.taken), model.streak)
        assert (status.rejected, status.late_results) == (model.counts["rejected"], model.counts["late"])
        assert (status.ignored, status.cancelled) == (model.counts["ignored"], model.counts["cancelled"])
        assert status.succeeded == model.counts["success"]
        assert status.failed == model.counts["failure"] + model.counts["forced"]
        kinds = [event.kind for event in self.told]
        assert kinds == model.events  # CB-13
        assert ("opened", "closed") not in pairwise(kind for kind in kinds if kind != "rejected")  # I4
        assert model.state != "half_open" or status.in_flight <= self.policy.probe_concurrency  # I2
        assert status.state != "open" or status.retry_after_ns > 0  # I1, since the model refused then
        del self.told[:], model.events[:]
        return status.state

    def recover(self):
        """I8: with a provider that works, and callers that come when they are told to, it closes in time."""
        while self.permits:
            self.release(0, "cancelled", 0, at_hand=False)
        if self.next_state() not in {"open", "half_open"}:
            return
        call, begin, now = SECOND // 10, self.clock.now, self.clock.now
        wait = max(1.2 * self.policy.max_wait_ns, self.breaker.retry_after_ns)  # a provider may have asked for longer
        while self.breaker.state != "closed":
            try:
                permit = self.breaker.acquire()
            except CircuitBreakerOpen:
                self.clock.now += self.breaker.retry_after_ns
            else:
                self.clock.now += min(call, self.policy.max_probe_ns)
                permit.succeed()
            now = self.clock.now
            assert now - begin <= wait + self.policy.probe_successes * call


class Machine(RuleBasedStateMachine):
    """Lets Hypothesis choose the steps."""

    @initialize(
        policy=st.fixed_dictionaries({name: st.sampled_from(values) for name, values in POLICY.items()}),
        seed=st.integers(0, 9),
    )
    def begin(self, policy, seed):
        self.pair = Pair(BreakerPolicy(**policy), seed)

    @rule()
    def acquire(self):
        self.pair.acquire()

    @precondition(lambda self: self.pair.permits)
    @rule(
        which=st.integers(0, 5),
        outcome=st.sampled_from(OUTCOMES),
        asked=st.sampled_from([0, 1, 100 * SECOND]),
        at_hand=st.booleans(),
    )
    def release(self, which, outcome, asked, at_hand):
        self.pair.release(which, outcome, asked, at_hand)

    @rule(outcome=st.sampled_from(["success", "failure"]))
    def record(self, outcome):
        self.pair.record(outcome)

    @rule(wait=st.sampled_from(WAITS))
    def wait(self, wait):
        self.pair.wait(wait)

    @rule(short=st.sampled_from([0, 1]))
    def wait_as_told(self, short):
        self.pair.wait_as_told(short)

    @rule(what=st.sampled_from(["force", "disable", "clear"]), expiry=st.sampled_from([None, 0, SECOND]))
    def override(self, what, expiry):
        self.pair.override(what, expiry)

    @invariant()
    def both_agree(self):
        self.pair.compare()

    def teardown(self):
        if hasattr(self, "pair"):
            self.pair.recover()


def test_the_breaker_does_what_lists_say():
    """CB-1 to CB-10, CB-13, I1 to I8; what fails is made as short as can be."""
    run = settings(max_examples=settings.default.max_examples // 3, stateful_step_count=50)
    run_state_machine_as_test(Machine, settings=run)


def walk(seed, steps=200):
    """Take steps drawn from a seed, and count by state where they led."""
    draw = random.Random(seed)
    pair = Pair(BreakerPolicy(**{name: draw.choice(values) for name, values in POLICY.items()}), seed)
    choices = ["acquire"] * 6 + ["release"] * 6 + ["wait", "wait as told"] * 2 + ["record"]
    failing = draw.random()  # a provider is good or bad, else nothing would ever open or close for long
    seen = Counter()
    for _ in range(steps):
        what = draw.choice(choices) if draw.random() < 0.98 else "override"
        if what == "acquire":
            pair.acquire()
        elif what == "release" and pair.permits:
            vote = "failure" if draw.random() < failing else "success"
            outcome = vote if draw.random() < 0.8 else draw.choice(OUTCOMES)
            pair.release(draw.randrange(6), outcome, draw.choice([0, 0, 0, 1, 100 * SECOND]), draw.random() < 0.5)
        elif what == "wait":
            pair.wait(draw.choice(WAITS))
        elif what == "wait as told":
            pair.wait_as_told(draw.randrange(2))
        elif what == "record":
            pair.record(draw.choice(["success", "failure"]))
        elif what == "override":
            pair.override(draw.choice(["force", "disable", "clear", "clear"]), draw.choice([None, 0, SECOND]))
        elif pair.next_state() == "forced_open":
            pair.override("clear", None)
        seen[pair.compare()] += 1
    pair.recover()
    return seen


def walk_many(seeds):
    seen = Counter()
    for seed in range(seeds):
        try:
            seen += walk(seed)
        except BaseException as error:
            error.add_note(f"in the walk of seed {seed}")
            raise
    assert set(seen) == {"closed", "open", "half_open", "forced_open", "disabled"}
    assert min(seen.values()) > seen.total() / 30
    return seen.total()


def test_the_breaker_does_what_lists_say_for_a_hundred_thousand_steps():
    """CB-1 to CB-10, CB-13, I1 to I8; Hypothesis would need minutes for as many."""
    assert walk_many(500) == 100_000


@pytest.mark.torture
def test_the_breaker_does_what_lists_say_for_a_million_steps():
    """The same, longer."""
    assert walk_many(5_000) == 1_000_000
