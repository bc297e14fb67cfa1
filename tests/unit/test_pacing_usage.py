"""A look at a budget takes nothing of it, in memory and in a file: RC-1, RC-4."""

import anyio
import pytest

from market_data_pipeline.contracts import Concurrency, Gcra, MinGap, Window
from market_data_pipeline.contracts.budget import SECOND_NS
from market_data_pipeline.pacing import Limiter, MemoryStore, SqliteStore
from market_data_pipeline.testing import simulate

RULES = [
    Window(name="window", limit=60, period_ns=600 * SECOND_NS),
    Gcra(name="rate", limit=2, burst=9),
    MinGap(name="gap", gap_ns=SECOND_NS, operations="alone"),
    Concurrency(name="lines", limit=3, operations=()),
    MinGap(name="same", gap_ns=SECOND_NS, per="contract", operations="bars"),
]


@pytest.fixture(params=["memory", "sqlite"])
def store_of(request, tmp_path):
    """Make a store for a clock; it is closed at the end."""
    made = []

    def store_of(clock):
        made.append(
            MemoryStore(slack_ns=0)
            if request.param == "memory"
            else SqliteStore(tmp_path / "budgets.sqlite", slack_ns=0, clock=clock)
        )
        return made[-1]

    yield store_of
    for store in made:
        if isinstance(store, SqliteStore):
            store.close()


def test_a_look_tells_how_much_of_each_rule_is_taken_and_takes_nothing(store_of):
    async def program(loop):
        limiter = Limiter("acme", RULES, store=store_of(loop), clock=loop)
        (await limiter.acquire("history", cost=5)).release()
        (await limiter.acquire("alone")).release()
        held = await limiter.lease("lines", 2)

        async def used():
            usage = await limiter.usage()
            assert usage == await limiter.usage()
            return {name: rule.used for name, rule in usage.rules.items()}

        assert await used() == {"window": 6, "rate": 6, "gap": 1, "lines": 2}
        await anyio.sleep(2)
        assert await used() == {"window": 6, "rate": 2, "gap": 0, "lines": 2}
        assert list((await limiter.usage()).rules["lines"].holders.values()) == [2]
        held.release()
        await anyio.sleep(600)
        assert await used() == {"window": 0, "rate": 0, "gap": 0, "lines": 0}

    simulate(program)


def test_a_look_tells_what_refusals_have_left_behind(store_of):
    async def program(loop):
        limiter = Limiter("acme", RULES, store=store_of(loop), clock=loop)
        grant = await limiter.acquire("history")
        limiter.refused(grant, cooldown_ns=7 * SECOND_NS)
        await anyio.sleep(2)
        (rest,) = (await limiter.usage()).rests
        assert (rest.operation, rest.left_ns) == ("history", 5 * SECOND_NS)
        assert rest.rate > 0
        limiter.warm(scope="history")
        assert (await limiter.usage()).rests == ()

    simulate(program)
