"""Coordinator against vendors, over a network that fails, under seeded schedules.

Callers of several tenants ask several accounts for calls and leases, as providers do. They are cancelled and give up;
the vendors refuse, ban, are down and slow; the network loses, stalls, resets and is cut; operators intervene; the wall
clock jumps. Each schedule draws some of these faults and its settings. Then the faults end, and everybody is answered.
A failure says how to run its seed again.
"""

import asyncio
import random
from collections import Counter, deque
from contextlib import nullcontext

import anyio
import attrs
import budgets
import pytest
from budgets import Elsewhere
from mistakes import Unbounded
from schedules import run_all, schedule
from sites import ENDS, FAULTS, Site

from market_data_pipeline.breaking import BreakerPolicy, CircuitBreaker
from market_data_pipeline.contracts.budget import SECOND_NS
from market_data_pipeline.orchestration import coordinator
from market_data_pipeline.pacing import Grant, Limiter
from market_data_pipeline.source import ServiceFactory
from market_data_pipeline.source.account import AccountPolicy, VendorAccount
from market_data_pipeline.testing import DeadlockError, SimLoop, SimNet
from market_data_pipeline.testing.simloop import START_NS

HAPPENED = {
    *FAULTS,
    *ENDS,
    *(f"{fault} {way}" for fault in ("loss", "stall", "reset") for way in ("out", "back")),
    *("opened", "half_opened", "closed", "forced", "disabled", "rejected"),
    *("a probe was enough", "a probe failed", "a late result", "refused behind the wait", "cancelled with a grant"),
    *("banned", "all rested", "several accounts", "a store elsewhere", "no breaker"),
} - {"moody", "hidden", "drift", "slow", "loss", "stall", "reset"}

SCHEDULES = 300


class Trial:
    """One schedule."""

    def __init__(self, loop, seed, *, jumps=True):
        self.loop, self.jumps = loop, jumps
        self.rng = rng = random.Random(seed)
        self.happened = Counter()
        self.faults = {fault for fault in FAULTS if rng.random() < 0.4}
        self.net = SimNet(loop, seed=seed)
        self.store = budgets.Counted()
        self.store.on_grant = self.strike
        self.doomed = []  # tasks that are to be cancelled
        self.inline = rng.random() < 0.7
        self.sites = {}
        self.coordinator = coordinator.RateCoordinator(
            policies={"": self.policy(), "beta": self.policy()},
            store=self.store if self.inline else Elsewhere(self.store, rng, 0.0002),
            clock=loop,
            seed=seed,
            on_breaker=lambda event: self.sites[event.provider].told(event),
        )
        self.factory = ServiceFactory(loop, seed=seed, accounts=self.coordinator)
        names = [("acme", "key"), ("acme", "other"), ("beta", "")]
        for site in [Site(self, *name) for name in rng.sample(names, rng.choice((1, 1, 2, 3)))]:
            self.sites[site.account.name] = site
        self.happened["several accounts"] += len(self.sites) > 1
        self.happened["a store elsewhere"] += not self.inline

    def policy(self):
        draw = self.rng
        breaker = BreakerPolicy(
            threshold=draw.choice((2, 5)),
            min_calls=draw.choice((4, 10)),
            base_wait_ns=draw.choice((1, 5)) * SECOND_NS,
            max_wait_ns=draw.choice((5, 30)) * SECOND_NS,
            probe_concurrency=draw.choice((1, 1, 2)),
            probe_successes=draw.choice((1, 2, 3)),
            max_probe_ns=draw.choice((1, 30)) * SECOND_NS,
        )
        return AccountPolicy(
            breaker=breaker,
            operations={"quote": draw.choice((None, attrs.evolve(breaker, failure_rate=None)))},
            cooldown_ns=draw.choice((1, 5)) * SECOND_NS,
            adaptive=draw.random() < 0.5,
            weights={"t": 5.0},
            max_waiters=draw.choice((6, 100)),
        )

    def strike(self):
        """Cancel somebody in the turn of the loop in which somebody is let out."""
        if self.doomed and self.rng.random() < 0.3:
            self.loop.call_soon(self.rng.choice(self.doomed).cancel)

    async def jump(self):
        """Set the wall clock now and then."""
        for step_sec in (3_600, -3_600, -86_400, 0.001, -0.001) if "jump" in self.faults else ():
            await anyio.sleep(self.rng.random() * 3)
            if self.jumps:
                self.loop.jump(round(step_sec * SECOND_NS))
            self.happened["jump"] += 1

    async def run(self):
        async with anyio.create_task_group() as hosts:
            for site in self.sites.values():
                hosts.start_soon(site.link.serve_requests, site.answer)
            # A store elsewhere is asked again and again, so that it never looks as if nothing could run.
            with nullcontext() if self.inline else anyio.fail_after(5_000):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self.jump)
                    for site in self.sites.values():
                        tasks.start_soon(site.trouble)
                        tasks.start_soon(site.operator)
                        for _ in range(self.rng.randint(2, 12)):
                            tasks.start_soon(site.caller)
            await self.check()
            for site in self.sites.values():
                site.mend()
            with anyio.fail_after(2_000):
                async with anyio.create_task_group() as tasks:
                    for site in self.sites.values():
                        tasks.start_soon(site.recover)
            await self.check()
            hosts.cancel_scope.cancel()
        await self.coordinator.close()
        assert len(asyncio.all_tasks()) == 1
        for site in self.sites.values():
            self.happened += site.ends + site.link.happened
            self.happened["banned"] += site.vendor.bans
            self.happened["all rested"] += "" in site.rests
            self.happened["no breaker"] += site.account.breaker("quote") is None
        self.happened += {"refused behind the wait": self.refused_late, "cancelled with a grant": self.unseen}
        return self

    async def check(self):
        await anyio.sleep(1)  # what is on its way arrives, what a store does later is done
        for site in self.sites.values():
            site.check()
        assert self.store.held() == []
        seen = sum(site.leased + site.entered.total() for site in self.sites.values())
        assert self.store.granted - self.store.refunded == seen
        self.refused_late = sum(site.refused_late for site in self.sites.values())
        self.unseen = self.store.refunded - self.refused_late
        assert self.unseen >= 0


def trial(seed, **options):
    return schedule(__file__, lambda loop: Trial(loop, seed, **options).run(), seed)


@pytest.mark.timeout(300)
def test_no_schedule_breaks_a_rule_loses_a_call_or_leaves_anybody_waiting():
    """RC-1, RC-2, RC-3, RC-8, RC-9, RC-10, RC-14, CB-7, CB-8, CB-9, CB-10, I1, I2, I3, I6."""
    run_all(__file__, trial, range(SCHEDULES), HAPPENED)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_no_schedule_of_ten_thousand_does():
    """The same, longer."""
    run_all(__file__, trial, range(1_000, 11_000), HAPPENED)


def what_came(run):
    return run.loop.trace, run.happened, [site.vendor.arrivals for site in run.sites.values()]


def test_a_schedule_is_repeatable():
    first, second, other = trial(5), trial(5), trial(6)
    assert what_came(first) == what_came(second)
    assert first.loop.trace != other.loop.trace


def test_a_wall_clock_that_jumps_changes_nothing():
    """G-1."""
    jumped = 0
    for seed in range(20):
        run = trial(seed)
        jumped += run.happened["jump"] > 0
        assert what_came(run) == what_came(trial(seed, jumps=False))
    assert jumped > 5


# The schedules find the mistakes that coordinators make


class Leaks(CircuitBreaker):
    """Wrong: who is cancelled keeps its permit."""

    def report(self, permit, outcome, *arguments):
        if outcome != "cancelled":
            super().report(permit, outcome, *arguments)


class LetsThrough(CircuitBreaker):
    """Wrong: it is asked before the wait for the budget alone."""

    def acquire(self):
        return self._shared if self.retry_after_ns else super().acquire()


class ByTheWall(CircuitBreaker):
    """Wrong: measures by the wall clock."""

    def __init__(self, *, clock, **options):
        super().__init__(clock=Wall(clock), **options)


@attrs.frozen
class Wall:
    loop: SimLoop

    def monotonic_ns(self):
        return self.loop.time_ns() - START_NS


class Forgets(Limiter):
    """Wrong: what is given back wakes nobody."""

    def _settled(self, *_):
        pass


class Exact(budgets.Counted):
    """Wrong: windows are not stretched, so that they are too short where the calls arrive."""

    def __init__(self):
        super().__init__(slack_ns=0)


class NeverRests(VendorAccount):
    """Wrong: learns nothing from refusals."""

    def _note(self, *_):
        pass


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("market_data_pipeline.source.account.CircuitBreaker", Unbounded),
        ("market_data_pipeline.source.account.CircuitBreaker", Leaks),
        ("market_data_pipeline.source.account.CircuitBreaker", LetsThrough),
        ("market_data_pipeline.source.account.CircuitBreaker", ByTheWall),
        ("market_data_pipeline.source.account.Limiter", Forgets),
        ("market_data_pipeline.orchestration.coordinator.VendorAccount", NeverRests),
        ("market_data_pipeline.pacing.grant.Grant.refund", Grant.release),
        ("budgets.Counted", Exact),
    ],
)
def test_the_schedules_find_the_mistakes_that_coordinators_make(monkeypatch, part, wrong):
    monkeypatch.setattr(part, wrong)
    seeds = iter(range(200))
    for _ in range(3):
        with pytest.raises((AssertionError, DeadlockError, TimeoutError, ExceptionGroup)):
            deque((trial(seed) for seed in seeds), maxlen=0)
