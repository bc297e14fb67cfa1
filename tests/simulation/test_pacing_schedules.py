"""Limiter against vendor under seeded schedules: it keeps every rule as the vendor counts it, and nobody waits in vain.

Many callers of several tenants ask for calls and leases of random budgets. They are cancelled, natively and by scope,
give up at deadlines, are refused for no reason; rules change. Then all that is left is served without faults.
A failure says how to run its seed again.
"""

import asyncio
import random
from collections import Counter, deque
from contextlib import nullcontext

import anyio
import pytest
from budgets import OPERATIONS, Counted, Elsewhere, budget_of, other_of, stricter
from schedules import run_all, schedule

from market_data_pipeline.contracts.budget import SECOND_NS
from market_data_pipeline.errors import BudgetExhausted, DeadlineExceeded, Overloaded, RateLimited
from market_data_pipeline.pacing import Limiter
from market_data_pipeline.testing import DeadlockError, FakeVendor

FAULTS = ("native", "scope", "deadline", "impatient", "moody", "change", "cool", "refund")
HAPPENED = {*FAULTS, "answered", "leased", "waited", "refused", "cancelled with a grant", "overloaded"} - {"moody"}
SCHEDULES = 300


class Trial:
    """One schedule."""

    def __init__(self, loop, seed, *, store_type=Counted, limiter_type=Limiter):
        self.loop = loop
        self.rng = random.Random(seed)
        self.faults = {fault for fault in FAULTS if self.rng.random() < 0.6}
        self.rules = budget_of(self.rng)
        self.store = store_type()
        self.inline = self.rng.random() < 0.7
        store = self.store if self.inline else Elsewhere(self.store, self.rng)
        self.limiter = limiter_type("vendor", self.rules, store=store, clock=loop, max_waiters=15)
        self.vendor = FakeVendor(self.rules, loop, seed=seed, moody=0.1 if "moody" in self.faults else 0.0)
        self.happened = Counter()
        self.seen = 0  # grants that callers got

    async def request(self, deadline, patient):
        """Make one call or lease as a provider does."""
        rng, loop, limiter = self.rng, self.loop, self.limiter
        self.happened["asked"] += 1
        operation = rng.choice(OPERATIONS)
        keys = {"contract": rng.choice("AB"), "request": rng.choice("12")}
        cost = rng.choice((1, 1, 1, 2))
        tenant, priority = rng.choice("tuv"), rng.randrange(10)
        if rng.random() < 0.1:
            grant = await limiter.lease("lines", cost, tenant=tenant, deadline=deadline)
            self.seen += 1
            try:
                with self.vendor.hold("lines", cost):
                    self.happened["leased"] += 1
                    await anyio.sleep(rng.random() * 5)
            finally:
                grant.release()
            return
        begin = loop.time()
        grant = await limiter.acquire(
            operation, cost=cost, keys=keys, tenant=tenant, priority=priority, deadline=deadline, patient=patient
        )
        self.seen += 1
        self.happened["waited"] += loop.time() > begin
        assert deadline is None or not self.inline or loop.monotonic_ns() <= deadline + 1_000
        try:
            if "refund" in self.faults and rng.random() < 0.1:
                self.happened["refund"] += 1
                grant.refund()  # it did not go out
                return
            await self.vendor.call(operation, cost=cost, keys=keys)
            self.happened["answered"] += 1
        except RateLimited as refusal:
            self.happened["refused"] += 1
            limiter.refused(grant, cooldown_ns=int(refusal.retry_after * SECOND_NS), account_wide=rng.random() < 0.3)
        finally:
            grant.release()

    async def caller(self, faults):
        """Ask a few times, and give up in some way now and then."""
        rng, loop = self.rng, self.loop
        for _ in range(rng.randint(1, 3)):
            await anyio.sleep(rng.random() * rng.choice((0, 0, 3)))
            deadline = None
            if "deadline" in faults and rng.random() < 0.3:
                deadline = loop.monotonic_ns() + rng.randrange(5 * SECOND_NS)
            patient = not ("impatient" in faults and rng.random() < 0.2)
            ways = sorted(faults & {"native", "scope"})
            way = rng.choice(ways) if ways and rng.random() < 0.4 else ""
            try:
                if way == "native":
                    await self.native(self.request(deadline, patient))
                elif way == "scope":
                    with anyio.move_on_after(self.moment()) as scope:
                        await self.request(deadline, patient)
                    self.happened["scope"] += scope.cancelled_caught
                else:
                    await self.request(deadline, patient)
            except DeadlineExceeded:
                self.happened["deadline"] += 1
            except BudgetExhausted:
                self.happened["impatient"] += 1
            except Overloaded:
                self.happened["overloaded"] += 1

    def moment(self):
        """Return when to give up: often in the very turn in which somebody is let out."""
        timer = self.limiter._dispatcher._timer
        if timer is not None and self.rng.random() < 0.5:
            return max(0.0, timer.when() - self.loop.time())
        return self.rng.random() * 3

    async def native(self, request):
        task = asyncio.ensure_future(request)
        await asyncio.wait({task}, timeout=self.moment())
        if task.cancel():
            self.happened["native"] += 1
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    async def operator(self):
        """Change rules, and cool down and warm up, now and then."""
        rng = self.rng
        for _ in range(3):
            await anyio.sleep(rng.random() * 4)
            if "cool" in self.faults:
                self.limiter.cool(rng.randrange(6 * SECOND_NS), scope=rng.choice(("", *OPERATIONS)))
                self.happened["cool"] += 1
                if rng.random() < 0.3:
                    self.limiter.warm()
            if "change" in self.faults:
                rules = other_of(rng, self.rules)
                # As long as calls are on their way, both keep the stricter of the two.
                self.limiter.change(stricter(self.rules, rules))
                await anyio.sleep(0.2)
                self.vendor.change(rules)
                self.limiter.change(rules)
                self.rules = rules
                self.happened["change"] += 1

    async def run(self):
        with nullcontext() if self.inline else anyio.fail_after(2_000):  # a store elsewhere is asked again and again
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.operator)
                for _ in range(self.rng.randint(3, 25)):
                    tasks.start_soon(self.caller, self.faults)
            await self.check()
            self.vendor._moody = 0.0
            self.limiter.change(self.rules)  # eventually, without faults, everybody is served
            self.faults = set()
            before = self.happened.copy()
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(self.caller, frozenset())
            since = self.happened - before  # a lease without a deadline does not wait
            assert since["asked"] == since["answered"] + since["leased"] + since["impatient"] > 0
            await self.check()
        self.happened["cancelled with a grant"] += self.store.refunded - self.happened["refund"]
        return self

    async def check(self):
        """Nobody waits, nothing stays taken, what was granted was seen or refunded, and the vendor has no complaint."""
        await anyio.sleep(1)
        assert (self.limiter.waiting, self.limiter.explain()) == (0, ())
        assert self.store.held() == []
        assert self.store.granted - self.store.refunded == self.seen - self.happened["refund"]
        assert self.vendor.violations == {}


def trial(seed, **types):
    return schedule(__file__, lambda loop: Trial(loop, seed, **types).run(), seed)


@pytest.mark.timeout(300)
def test_no_schedule_breaks_a_rule_at_the_vendor_or_leaves_anybody_waiting():
    """RC-1, RC-2, RC-3, RC-9, RC-14."""
    run_all(__file__, trial, range(SCHEDULES), HAPPENED)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_no_schedule_of_ten_thousand_does():
    """RC-1, RC-2, RC-3, RC-9, RC-14."""
    run_all(__file__, trial, range(1_000, 11_000), HAPPENED)


def test_a_schedule_is_repeatable():
    first, second, other = trial(5), trial(5), trial(6)
    assert (first.loop.trace, first.happened, first.vendor.arrivals) == (
        second.loop.trace,
        second.happened,
        second.vendor.arrivals,
    )
    assert first.loop.trace != other.loop.trace


# The schedules find the mistakes that limiters make


class Restarts(Counted):
    """Wrong: windows begin anew at each multiple of their period."""

    def decide(self, now, asks):
        for meter in [*self._shared.values(), *self._apart.values()]:
            while (
                meter.rule.kind == "window" and meter._log and meter._log[0][0] // meter._period < now // meter._period
            ):
                meter._sum -= meter._log.popleft()[1]
        return super().decide(now, asks)


class Exact(Counted):
    """Wrong: windows are not stretched, so that they are too short where the calls arrive."""

    def __init__(self):
        super().__init__(slack_ns=0)


class Shields(Limiter):
    """Wrong: goes on waiting for who was cancelled."""

    async def acquire(self, *arguments, **options):
        return await asyncio.shield(asyncio.ensure_future(super().acquire(*arguments, **options)))


class Forgets(Limiter):
    """Wrong: what is given back wakes nobody."""

    def _settled(self, *_):
        pass


@pytest.mark.parametrize(
    "wrong", [{"store_type": Restarts}, {"store_type": Exact}, {"limiter_type": Shields}, {"limiter_type": Forgets}]
)
def test_the_schedules_find_the_mistakes_that_limiters_make(wrong):
    seeds = iter(range(100))
    for _ in range(3):
        with pytest.raises((AssertionError, DeadlockError, TimeoutError, ExceptionGroup)):
            deque((trial(seed, **wrong) for seed in seeds), maxlen=0)
