"""The circuit breaker under concurrent callers, in schedules drawn from seeds.

Callers call a provider that is down for a while, hangs sometimes and answers late; some of them are cancelled, in the
very turn of the loop in which others act. Then the provider works, and the breaker has to close.
"""

import asyncio
import random
from collections import Counter

import anyio
import pytest
from mistakes import Unbounded
from schedules import run_all, schedule

from market_data_pipeline.breaking import BreakerPolicy, CircuitBreaker
from market_data_pipeline.errors import CircuitBreakerOpen, ConnectionLost, UnknownSymbol

SECOND = 1_000_000_000
BEAT = SECOND // 10
OUTAGE = 30 * SECOND
HAPPENED = {"opened", "half_opened", "closed", "rejected", "ignored", "cancelled", "late_results"}


class LeaksCancelled(CircuitBreaker):
    """Wrong: keeps the permit of a call that was cancelled."""

    def report_error(self, permit, error):
        if not isinstance(error, asyncio.CancelledError):
            super().report_error(permit, error)


class Trial:
    """One schedule. All that happens does so on the same beats of the clock, in an order drawn from the seed."""

    def __init__(self, loop, seed, breaker_type):
        self.loop, self.random = loop, random.Random(seed)
        draw = self.random
        self.policy = BreakerPolicy(
            threshold=draw.choice([1, 3, 5]),
            base_wait_ns=draw.choice([1, 5]) * SECOND,
            max_wait_ns=10 * SECOND,
            probe_concurrency=draw.choice([1, 1, 2, 3]),
            probe_successes=draw.choice([1, 2, 3]),
            max_probe_ns=draw.choice([2, 10]) * SECOND,
        )
        self.told, self.happened = [], Counter()
        self.breaker = breaker_type(
            policy=self.policy, clock=loop, random=random.Random(seed), on_event=self.told.append
        )
        self.good_from = OUTAGE + loop.monotonic_ns()
        self.inside = Counter()  # by generation, the calls that were let through and have not ended

    async def beat(self):
        await self.loop.sleep_until((self.loop.monotonic_ns() // BEAT + 1) * BEAT)
        status = self.breaker.status()
        assert status.in_flight == self.inside[status.generation]  # I3, I6: no permit is lost, none is given back twice

    async def ask(self):
        """What the provider does with a call."""
        draw, good = self.random, self.loop.monotonic_ns() >= self.good_from
        beats = 1 if good else draw.choice([0, 1, 1, 3, 40, 150])
        for _ in range(beats):
            await self.beat()
        if not good and draw.random() < 0.7:
            raise ConnectionLost("down")
        if not good and draw.random() < 0.2:
            raise UnknownSymbol("XYZ")

    async def call(self):
        """One call, with a look at how many probes are out."""
        before = self.breaker.status()
        try:
            async with self.breaker.guard():
                now = self.breaker.status()
                assert before.state not in {"open", "forced_open"}  # I1: nobody comes in while it refuses
                assert now.state != "half_open" or now.in_flight <= self.policy.probe_concurrency  # I2
                self.inside[now.generation] += 1
                try:
                    await self.ask()
                finally:
                    self.inside[now.generation] -= 1
        except (CircuitBreakerOpen, ConnectionLost, UnknownSymbol):
            pass

    async def caller(self):
        while self.loop.monotonic_ns() < self.good_from:
            await self.call()
            for _ in range(self.random.choice([1, 1, 2, 20])):
                await self.beat()

    async def cancelled(self):
        """Call again and again, and be cancelled each time at some beat, natively or by a scope."""
        while self.loop.monotonic_ns() < self.good_from:
            scope = anyio.CancelScope()

            async def within(scope=scope):
                with scope:
                    await self.call()

            task = asyncio.create_task(within())
            for _ in range(self.random.choice([1, 2, 30])):
                await self.beat()
            scope.cancel() if self.random.random() < 0.5 else task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    async def heal(self):
        """I8: from the beginning of the good time on, calls that come when they are told to close it in time."""
        begin = self.loop.monotonic_ns()
        while self.breaker.state != "closed":
            await self.loop.sleep_until(self.loop.monotonic_ns() + (self.breaker.retry_after_ns or 0))
            await self.call()
        return self.loop.monotonic_ns() - begin

    async def run(self):
        async with anyio.create_task_group() as group:
            for _ in range(self.random.randint(2, 5)):
                group.start_soon(self.caller)
            group.start_soon(self.cancelled)
        status = self.breaker.status()
        assert status.in_flight == 0
        bound = 1.2 * self.policy.max_wait_ns + self.policy.probe_successes * 2 * BEAT
        assert await self.heal() <= bound
        kinds = [event.kind for event in self.told]
        moves = [kind for kind in kinds if kind != "rejected"]
        assert [event.generation for event in self.told if event.kind != "rejected"] == list(range(1, len(moves) + 1))
        follows = {"closed": {"opened"}, "opened": {"half_opened"}, "half_opened": {"opened", "closed"}}
        for earlier, later in zip(["closed", *moves], moves, strict=False):
            assert later in follows[earlier]  # I4, and exactly one event for each transition
        self.happened.update(kinds)
        status = self.breaker.status()
        for name in ("ignored", "cancelled", "late_results"):
            self.happened[name] += getattr(status, name)
        assert kinds.count("rejected") == status.rejected
        return self


def trial(seed, breaker_type=CircuitBreaker):
    return schedule(__file__, lambda loop: Trial(loop, seed, breaker_type).run(), seed)


def run_many(seeds):
    if happened := run_all(__file__, trial, seeds, HAPPENED):
        assert set(happened) == HAPPENED
        assert min(happened.values()) > len(seeds) / 2, happened


def test_no_schedule_lets_too_many_through_or_leaves_it_half_open():
    """CB-7, CB-8, CB-9, CB-10, CB-14, I1, I2, I3, I4, I6, I8; each kind of end occurs often."""
    run_many(range(120))


@pytest.mark.torture
def test_no_schedule_of_ten_thousand_does():
    """The same, longer."""
    run_many(range(10_000))


@pytest.mark.parametrize("wrong", [LeaksCancelled, Unbounded])
def test_the_schedules_find_the_mistakes_that_breakers_make(wrong):
    failures = 0
    for seed in range(30):
        try:
            trial(seed, wrong)
        except (AssertionError, ExceptionGroup):
            failures += 1
    assert failures > 3


def test_a_schedule_is_repeatable():
    first, second = trial(5), trial(5)
    assert (first.told, first.loop.trace) == (second.told, second.loop.trace)
