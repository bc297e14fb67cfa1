"""Who gets how much of what is free at once, if all who are let out ask for more at once (RC-7)."""

import asyncio
from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from market_data_pipeline.contracts.budget import SECOND_NS, Gcra
from market_data_pipeline.pacing import Limiter

TENANTS = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.floats(0.25, 4), st.integers(1, 40)), min_size=2)


def served(tenants, *, many):
    """Let tenants of some weights ask with so many callers each, again and again.

    Returns:
        Who got how many of `many` that are free at once, by tenant and number of the caller.
    """
    weights = {tenant: weight for tenant, (weight, _) in tenants.items()}

    async def program():
        limiter = Limiter("test", [Gcra(name="g", limit=1, burst=many)], weight_of=weights.__getitem__)
        limiter.cool(900 * SECOND_NS)
        got, done = Counter(), asyncio.Event()

        async def caller(tenant, number):
            while True:
                await limiter.acquire("x", tenant=tenant)
                got[tenant, number] += 1
                if got.total() == many:
                    done.set()

        callers = [(tenant, number) for tenant, (_, loops) in tenants.items() for number in range(loops)]
        tasks = [asyncio.create_task(caller(*each)) for each in callers]
        await asyncio.sleep(0)
        assert limiter.waiting == len(tasks)
        limiter.warm()
        await done.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return got

    return asyncio.run(program())


def by_tenant(got):
    total = Counter()
    for (tenant, _), many in got.items():
        total[tenant] += many
    return total


@given(TENANTS)
@example({"a": (3.25, 1), "b": (0.5, 1), "c": (0.5, 1), "d": (0.25, 1), "e": (0.25, 1)})
def test_each_tenant_gets_its_share_however_many_callers_it_has(tenants):
    """RC-7: each got what its weight gives it up to a time that is the same for all, or one call more."""
    got = by_tenant(served(tenants, many=500))
    times = [(got[tenant] / weight, 1 / weight) for tenant, (weight, _) in tenants.items()]
    assert max(time - one for time, one in times) <= min(time for time, _ in times) + 1e-9


def test_a_tenant_with_91_of_100_waiters_gets_a_tenth():
    """RC-7."""
    tenants = {"hog": (1.0, 91)} | {f"t{number}": (1.0, 1) for number in range(9)}
    assert by_tenant(served(tenants, many=100)) == dict.fromkeys(tenants, 10)


def test_the_callers_of_one_tenant_get_one_after_the_other():
    """RC-7: who comes back first does not take all that is left."""
    assert set(served({"a": (1.0, 50)}, many=200).values()) == {4}
