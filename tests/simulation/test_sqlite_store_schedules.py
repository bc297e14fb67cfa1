"""Several processes' limiters over one file, whose callers are cancelled at any moment (RC-2, RC-4, RC-9)."""

import asyncio
import random
from itertools import count, pairwise

import pytest

from market_data_pipeline.contracts.budget import SECOND_NS, Concurrency, Gcra, Window
from market_data_pipeline.pacing import Limiter, SqliteStore
from market_data_pipeline.pacing.dispatcher import LOOK_NS
from market_data_pipeline.testing import simulate

PROCESSES, CALLERS = 3, 8
RULES = [
    Window(name="second", limit=4, period_ns=SECOND_NS),
    Window(name="each", limit=1, period_ns=SECOND_NS // 2, per="contract"),
    Gcra(name="rate", limit=10, burst=3),
    Concurrency(name="open", limit=2),
]
LONGEST_NS = 30 * SECOND_NS


class Crowd:
    """Callers of several processes, some of which are cancelled while they wait or hold something."""

    def __init__(self, loop, seed, path):
        self.loop, self.random = loop, random.Random(seed)
        self.stores = [SqliteStore(path, slack_ns=0) for _ in range(PROCESSES)]
        self.limiters = [Limiter("acme", RULES, store=store) for store in self.stores]
        self.went = []  # (when, contract)
        self.open = self.most_open = 0

    async def call(self, limiter):
        await asyncio.sleep(self.random.choice([0, 0, 0.1, 0.7]))
        contract = self.random.choice("ab")
        grant = await limiter.acquire("bars", keys={"contract": contract}, tenant=self.random.choice("xyz"))
        self.went.append((self.loop.monotonic_ns(), contract))
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            await asyncio.sleep(self.random.choice([0, 0.3, 1.2]))
        finally:
            self.open -= 1
            grant.release()

    async def run(self):
        calls = [asyncio.ensure_future(self.call(limiter)) for limiter in self.limiters for _ in range(CALLERS)]
        doomed = self.random.sample(calls, len(calls) // 3)
        for call in doomed:
            await asyncio.sleep(self.random.choice([0, 0, 0, 0.05, 0.5]))
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert [call for call in calls if call not in doomed and (call.cancelled() or call.exception())] == []
        assert [limiter.waiting for limiter in self.limiters] == [0] * PROCESSES
        ended = self.loop.monotonic_ns()
        await self.loop.run_in_executor(None, lambda: None)  # what was given back last
        for store in self.stores:
            store.close()
        return ended


@pytest.mark.parametrize("seed", range(40))
def test_no_schedule_breaks_a_rule_or_lets_anybody_wait_for_ever(tmp_path, seed):
    crowd = None

    async def program(loop):
        nonlocal crowd
        crowd = Crowd(loop, seed, tmp_path / "budgets")
        return await crowd.run()

    ended = simulate(program, seed=seed)
    times = [when for when, _ in crowd.went]
    assert len(times) >= PROCESSES * CALLERS * 2 // 3
    assert all(later - when >= SECOND_NS for when, later in zip(times, times[4:], strict=False))
    for contract in "ab":
        each = [when for when, what in crowd.went if what == contract]
        assert all(later - when >= SECOND_NS // 2 for when, later in pairwise(each))
    assert all(
        len([when for when in times if start <= when <= start + length * SECOND_NS // 10]) <= 3 + length
        for start in times
        for length in range(20)
    )
    assert crowd.most_open == 2
    assert ended <= LONGEST_NS


def test_what_a_cancelled_caller_was_granted_goes_to_the_next(tmp_path):
    """RC-9: whenever in the life of a grant its caller is cancelled, nothing is lost."""

    async def program(loop, turns):
        store = SqliteStore(tmp_path / f"budgets-{turns}", slack_ns=0)
        limiter = Limiter("acme", [Window(name="one", limit=1, period_ns=SECOND_NS)], store=store)
        first = asyncio.ensure_future(limiter.acquire("bars"))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_granted = first.done()
        first.cancel()
        await limiter.acquire("bars")
        when = loop.monotonic_ns()
        store.close()
        return was_granted, when

    for turns in count():
        was_granted, when = simulate(lambda loop, turns=turns: program(loop, turns))
        if was_granted:
            break
        assert when < LOOK_NS
    assert turns > 3
    assert SECOND_NS <= when < SECOND_NS + 1_000


def test_what_another_process_gives_back_is_seen_soon(tmp_path):
    async def program(loop):
        stores = [SqliteStore(tmp_path / "budgets", slack_ns=0) for _ in range(2)]
        one, other = (Limiter("acme", [Concurrency(name="lines", limit=1)], store=store) for store in stores)
        held = await one.lease("lines")
        waiting = asyncio.ensure_future(other.lease("lines", deadline=60 * SECOND_NS))
        await asyncio.sleep(7)
        assert not waiting.done()
        held.release()
        await waiting
        for store in stores:
            store.close()
        return loop.monotonic_ns()

    assert simulate(program) <= 7 * SECOND_NS + LOOK_NS + SECOND_NS // 1_000


def test_rules_that_change_while_the_file_is_asked_are_those_of_the_next_decision(tmp_path):
    """RC-14: who was granted something under the old rules gives back what it took, no more."""

    async def program(_loop):
        store = SqliteStore(tmp_path / "budgets", slack_ns=0)
        slow = Gcra(name="slow", limit=1, period_ns=60 * SECOND_NS)
        limiter = Limiter("acme", [Concurrency(name="open", limit=1)], store=store)
        call = asyncio.ensure_future(limiter.acquire("bars"))
        for _ in range(2):
            await asyncio.sleep(0)
        assert limiter.waiting == 1  # the file is asked
        limiter.change([slow])
        grant = await call
        names = [slot.rule.name for slot in grant.slots]
        grant.refund()
        await limiter.acquire("bars")
        assert [waits.rule for waits in limiter.explain()] == []
        store.close()
        return names

    assert simulate(program) == ["open", "cooldown", "cooldown"]
