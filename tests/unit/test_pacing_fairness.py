"""Shares of one budget among tenants, priorities and sizes, through the whole limiter (RC-7)."""

import asyncio
from collections import Counter

import pytest

from market_data_pipeline.contracts.budget import SECOND_NS, Gcra, Window
from market_data_pipeline.pacing import Limiter, MemoryStore
from market_data_pipeline.testing import simulate

RATE = Gcra(name="rate", limit=100, burst=20)


def shares(callers, *, rule=RATE, seconds=20, **options):
    """Return what each name got in a while, of callers (name, how many, what they ask) that always ask again."""
    got = Counter()

    async def main(loop):
        limiter = Limiter("test", [rule], store=MemoryStore(slack_ns=0), clock=loop, **options)

        async def caller(name, more):
            while True:
                await limiter.acquire("x", **more)
                got[name] += more.get("cost", 1)

        tasks = [asyncio.create_task(caller(name, more)) for name, many, more in callers for _ in range(many)]
        await asyncio.sleep(1)
        got.clear()  # while the burst lasted nobody waited
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    simulate(main)
    return got


def test_a_tenant_with_91_percent_of_the_waiters_gets_at_most_a_fifth_more_than_its_share():
    """RC-7."""
    got = shares([("hog", 91, {"tenant": "hog"}), *((f"t{n}", 1, {"tenant": f"t{n}"}) for n in range(9))])
    assert got["hog"] <= 1.2 * got.total() / 10
    assert min(got.values()) >= 0.95 * got.total() / 10


def test_tenants_get_what_they_weigh():
    """RC-7: within 5 %."""
    weights = {"a": 1.0, "b": 2.0, "c": 5.0}
    got = shares([(name, 20, {"tenant": name}) for name in weights], weight_of=weights.__getitem__)
    assert {name: got[name] / got.total() for name in weights} == pytest.approx(
        {name: weight / 8 for name, weight in weights.items()}, rel=0.05
    )


def test_a_higher_priority_gets_more_and_the_lowest_is_served():
    """RC-7."""
    got = shares([(str(priority), 10, {"priority": priority}) for priority in (0, 5, 6)])
    assert got["6"] / got["5"] == pytest.approx(2, rel=0.05)
    assert got["0"] >= 1


@pytest.mark.parametrize("rule", [RATE, Window(name="rate", limit=20, period_ns=SECOND_NS)], ids=lambda rule: rule.kind)
def test_big_requests_are_served_among_small_ones(rule):
    """RC-7."""
    got = shares([("big", 2, {"tenant": "a", "cost": 20}), ("small", 50, {"tenant": "b"})], rule=rule)
    assert got["big"] == pytest.approx(got["small"], rel=0.15)
