"""One account of a coordinator and its vendor, with those who use it, disturb it and look after it, for schedules."""

import asyncio
from collections import Counter

import anyio
from budgets import OPERATIONS, budget_of, other_of, stricter

from market_data_pipeline.contracts.budget import SECOND_NS, Window
from market_data_pipeline.errors import CircuitBreakerOpen, MarketDataError, RateLimited, ServerError
from market_data_pipeline.source.tenant import working_for
from market_data_pipeline.testing import FakeVendor, LinkFaults, SimClock

NETWORK = ("refuse", "loss", "stall", "reset")
CALLERS = ("native", "scope", "deadline", "retry")
VENDOR = ("moody", "hidden", "closed", "outage", "slow")
OPERATOR = ("change", "cool", "force", "disable", "clear")
FAULTS = (*NETWORK, "cut", *CALLERS, *VENDOR, *OPERATOR, "jump", "drift")

ANSWERED = {"answered", "leased"}
NOT_SENT = {"CircuitBreakerOpen", "DeadlineExceeded", "BudgetExhausted", "Overloaded", "CapacityExceeded"}
FAILED = {"ServerError", "TimeoutError", "ConnectionRefusedError", "ConnectionResetError"}
ENDS = ANSWERED | NOT_SENT | FAILED | {"RateLimited", "AuthenticationFailed", "CancelledError"}

CUT_SEC, WORK_SEC = (6.0, 12.0), 5.0
"""A vendor does not know of who gave up while the link is cut, so it has done its work when it heals."""
SPREAD_SEC = 0.04


class Site:
    """One account, its vendor, and what is known of both."""

    def __init__(self, trial, provider, credential):
        rng, loop, faults = trial.rng, trial.loop, trial.faults
        self.trial, self.rng, self.loop = trial, rng, loop
        self.rules = budget_of(rng)
        self.hidden = [Window(name="hidden", limit=3, period_ns=SECOND_NS)] if "hidden" in faults else []
        self.account = trial.coordinator.account(provider, credential=credential, rules=self.rules)
        self.services = trial.factory.of(provider, credential=credential)
        self.vendor = FakeVendor(
            [*self.rules, *self.hidden],
            SimClock(loop, drift_ppm=rng.choice((-50, 50)) if "drift" in faults else 0),
            seed=rng.random(),
            latency_sec=(0, 0),
            spread_sec=SPREAD_SEC,
            work_sec=(0, WORK_SEC if "slow" in faults else 0.2),
            moody=0.1 if "moody" in faults else 0.0,
            strikes=rng.choice((2, 5)),
            ban_sec=None if "closed" in faults and rng.random() < 0.5 else rng.uniform(2, 9),
        )
        self.link = trial.net.link(self.account.name)
        self.link.faults = LinkFaults(**{name: rng.choice((0.02, 0.1)) for name in NETWORK if name in faults})
        self.down_until = 0
        self.ends = Counter()
        self.asked = self.leased = self.refused_late = 0
        self.entered = Counter()  # by operation
        self.inside = Counter()  # by operation and generation of its breaker
        self.probing = {}  # the generations that are half open, by operation
        self.rests = {}  # until when an operation rests, and since when, by operation

    async def answer(self, message):
        """What the vendor does with a request."""
        operation, cost, keys = message
        arrival = await self.vendor.call(operation, cost=cost, keys=keys)
        if self.loop.monotonic_ns() < self.down_until:
            raise ServerError("down")
        return arrival

    async def ask(self, operation, **options):
        """Make one call or lease; however it ends, it is counted once."""
        self.asked += 1
        ticks = self.loop.ticks
        end = "leased" if operation == "lines" else "answered"
        try:
            await (self.hold if operation == "lines" else self.call)(operation, **options)
        except BaseException as error:
            end = type(error).__name__
            self.refused_late += isinstance(error, CircuitBreakerOpen) and self.loop.ticks > ticks
            raise
        finally:
            self.ends[end] += 1

    async def call(self, operation, *, deadline=None, attempt=1, limit_sec=10.0):
        rng = self.rng
        keys = {"contract": rng.choice("AB"), "request": rng.choice("12")}
        cost = rng.choice((1, 1, 1, 2))
        with working_for(rng.choice("tuv")):
            async with self.services.call(
                operation, cost=cost, keys=keys, priority=rng.randrange(10), deadline=deadline, attempt=attempt
            ):
                place = self.enter(operation, deadline)
                try:
                    with anyio.fail_after(limit_sec):
                        await self.link.request((operation, cost, keys))
                except RateLimited as refusal:
                    self.rest(operation, round((refusal.retry_after or 0) * SECOND_NS))
                    raise
                finally:
                    self.inside[place] -= 1

    def enter(self, operation, deadline):
        """Note that a call goes out, and look whether it may."""
        now, late = self.loop.monotonic_ns(), 1_000 if self.trial.inline else SECOND_NS // 20
        assert deadline is None or now <= deadline + late  # RC-8
        for until, since in (self.rests.get(operation, (0, 0)), self.rests.get("", (0, 0))):
            assert not since + late < now < until  # RC-10
        self.entered[operation] += 1
        breaker = self.account.breaker(operation)
        if breaker is None:
            return None
        status = breaker.status()
        assert status.state not in {"open", "forced_open"}  # I1
        place = operation, status.generation
        self.inside[place] += 1
        assert status.in_flight == self.inside[place]  # I3, I6
        if self.probing.get(operation) == status.generation:
            assert self.inside[place] <= breaker.policy.probe_concurrency  # I2, CB-7
        return place

    def rest(self, scope, length):
        """Note that nothing of a scope may go out for a while."""
        now = self.loop.monotonic_ns()
        self.rests[scope] = max(self.rests.get(scope, (0, 0)), (now + length, now))

    async def hold(self, resource, *, deadline=None, **_):
        many = self.rng.choice((1, 1, 2))
        with working_for(self.rng.choice("tuv")):
            async with self.services.lease(resource, many, deadline=deadline):
                self.leased += 1
                with self.vendor.hold(resource, many):
                    await anyio.sleep(self.rng.random() * 5)

    def told(self, event):
        """Hear of one of the account's breakers."""
        happened = self.trial.happened
        happened[event.kind] += 1
        if event.kind == "rejected":
            return
        if self.probing.pop(event.operation, None) is not None:
            happened["a probe failed"] += event.kind == "opened"
            happened["a probe was enough"] += event.reason == "it works again"
        if event.kind == "half_opened":
            self.probing[event.operation] = event.generation

    async def caller(self):
        """Ask a few times, and give up in some way now and then."""
        rng, faults = self.rng, self.trial.faults
        for _ in range(rng.randint(1, 4)):
            await anyio.sleep(rng.random() * rng.choice((0, 0, 3)))
            operation = "lines" if rng.random() < 0.1 else rng.choice(OPERATIONS)
            for attempt in range(1, 1 + rng.randint(1, 3 if "retry" in faults else 1)):
                self.trial.happened["retry"] += attempt > 1
                try:
                    await self.give_up(operation, attempt)
                except (ServerError, RateLimited, OSError):
                    continue
                except MarketDataError:
                    pass
                break

    async def give_up(self, operation, attempt):
        """Ask, and be cancelled, have a deadline or be impatient now and then."""
        rng, faults, happened = self.rng, self.trial.faults, self.trial.happened
        deadline = None
        if "deadline" in faults and rng.random() < 0.3:
            deadline = self.loop.monotonic_ns() + rng.randrange(5 * SECOND_NS)
            happened["deadline"] += 1
        asking = self.ask(operation, deadline=deadline, attempt=attempt, limit_sec=rng.uniform(0.5, 3))
        ways = sorted(faults & {"native", "scope"})
        way = rng.choice(ways) if ways and rng.random() < 0.4 else ""
        if way == "native":
            task = asyncio.ensure_future(asking)
            self.trial.doomed.append(task)
            await asyncio.wait({task}, timeout=self.moment())
            self.trial.doomed.remove(task)
            task.cancel()
            await asyncio.wait({task})
            happened["native"] += task.cancelled()
            if not task.cancelled():
                task.result()
        elif way == "scope":
            with anyio.move_on_after(self.moment()) as scope:
                await asking
            happened["scope"] += scope.cancelled_caught
        else:
            await asking

    def moment(self):
        """Return when to give up: often in the very turn in which somebody is let out."""
        left = [waits.left_ns for waits in self.account.limiter.explain() if waits.left_ns]
        return min(left) / 1e9 if left and self.rng.random() < 0.5 else self.rng.random() * 3

    async def trouble(self):
        """Let the vendor be down, and cut its link, for a while."""
        rng, happened = self.rng, self.trial.happened
        await anyio.sleep(rng.random() * 5)
        if "outage" in self.trial.faults:
            self.down_until = self.loop.monotonic_ns() + rng.randrange(15 * SECOND_NS)
            happened["outage"] += 1
            await anyio.sleep(rng.random() * 5)
        if "cut" in self.trial.faults:
            self.link.cut()
            await anyio.sleep(rng.uniform(*CUT_SEC))
            self.link.heal()

    async def operator(self):
        """Do what operators do now and then."""
        rng, limiter = self.rng, self.account.limiter
        orders = sorted(self.trial.faults & set(OPERATOR))
        for _ in range(4 if orders else 0):
            await anyio.sleep(rng.random() * 4)
            order = rng.choice(orders)
            self.trial.happened[order] += 1
            until = self.loop.monotonic_ns() + rng.randrange(10 * SECOND_NS)
            if order == "change":
                await self.change()
            elif order == "cool":
                scope, length = rng.choice(("", *OPERATIONS)), rng.randrange(6 * SECOND_NS)
                limiter.cool(length, scope=scope)
                self.rest(scope, length)
                if rng.random() < 0.3:
                    limiter.warm(scope=scope)
                    self.rests.pop(scope)
            else:
                for breaker in self.account.breakers()[: rng.randint(1, 3)]:
                    if order == "clear":
                        breaker.clear()
                    else:
                        act = breaker.force_open if order == "force" else breaker.disable
                        act("an operator", until_ns=until)

    async def change(self):
        """Let vendor and account go on under other rules; while calls are on their way, the account keeps both."""
        rules = other_of(self.rng, self.rules)
        self.account.limiter.change(stricter(self.rules, rules))
        await anyio.sleep(0.2)
        self.vendor.change([*rules, *self.hidden])
        self.account.limiter.change(rules)
        self.rules = rules

    def mend(self):
        """End all faults; an operator clears what would not end by itself."""
        self.link.heal()
        self.link.faults = LinkFaults()
        self.vendor._moody, self.vendor._banned_until, self.vendor._work_sec = 0.0, 0, (0, 0.2)
        self.vendor.change(self.rules)
        self.down_until = 0
        for breaker in self.account.breakers():
            if breaker.retry_after_ns is None or breaker.state == "disabled":
                breaker.clear()

    async def eventually(self, operation):
        """Ask until there is an answer: only the breaker may put it off."""
        while True:
            try:
                return await self.ask(operation)
            except CircuitBreakerOpen as refusal:
                await anyio.sleep(refusal.retry_after)

    async def recover(self):
        """Without faults everybody is answered, and every breaker closes."""
        async with anyio.create_task_group() as tasks:
            for operation in OPERATIONS * 2:
                tasks.start_soon(self.eventually, operation)
        for breaker in self.account.breakers():
            for _ in range(breaker.policy.probe_successes):
                if breaker.state != "closed":
                    await self.eventually(breaker.operation)
            assert breaker.state == "closed"

    def check(self):
        """Each call has one end, which all who count agree about; nothing is held; the vendor has no complaint."""
        ends, account = self.ends, self.account
        assert set(ends) <= ENDS
        assert sum(ends.values()) == self.asked
        assert set(self.vendor.violations) <= {"hidden"}  # RC-1, RC-2, RC-3
        assert (account.retries.calls, account.retries.retries) == (0, 0)
        assert (account.limiter.waiting, account.limiter.explain()) == (0, ())
        statuses = [breaker.status() for breaker in account.breakers()]
        assert [status.in_flight for status in statuses] == [0] * len(statuses)
        assert sum(status.rejected for status in statuses) == ends["CircuitBreakerOpen"]
        for status in statuses:  # CB-8
            reports = status.succeeded + status.failed + status.ignored + status.cancelled + status.late_results
            assert reports == self.entered[status.operation]
        assert sum(status.succeeded for status in statuses) <= ends["answered"]
        failures = sum(ends[name] for name in (*FAILED, "AuthenticationFailed"))
        assert sum(status.failed for status in statuses) <= failures
        assert sum(status.cancelled for status in statuses) <= ends["CancelledError"]
        out = sum(self.entered.values())
        assert ends["answered"] <= sum(not arrival.refused for arrival in self.vendor.arrivals) <= out
        self.trial.happened["a late result"] += sum(status.late_results for status in statuses)
