"""A look at a budget takes nothing of it, in memory and in a file: RC-1, RC-4."""

from itertools import permutations

import anyio
import pytest

from market_data_pipeline.contracts import Concurrency, Gcra, MinGap, Window
from market_data_pipeline.contracts.budget import SECOND_NS
from market_data_pipeline.pacing import Limiter, MemoryStore, SqliteStore, usage
from market_data_pipeline.pacing import limiter as limiter_module
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
            looked = await limiter.usage()
            assert looked == await limiter.usage()
            return {name: rule.used for name, rule in looked.rules.items()}

        assert await used() == {"window": 6, "rate": 6, "gap": 1, "lines": 2, "same": 0}
        await anyio.sleep(2)
        assert await used() == {"window": 6, "rate": 2, "gap": 0, "lines": 2, "same": 0}
        assert list((await limiter.usage()).rules["lines"].holders.values()) == [2]
        held.release()
        await anyio.sleep(600)
        assert await used() == {"window": 0, "rate": 0, "gap": 0, "lines": 0, "same": 0}

    simulate(program)


def test_a_look_tells_of_a_rule_that_counts_by_keys_how_much_is_taken_for_each_the_fullest_first(store_of):
    rules = [
        Window(name="each", limit=9, period_ns=600 * SECOND_NS, per=("contract", "what")),
        Window(name="each.2", limit=9, period_ns=600 * SECOND_NS, per="contract"),
        Concurrency(name="open", limit=3, per="contract"),
    ]

    async def program(loop):
        store = store_of(loop)
        limiter = Limiter("acme", rules, store=store, clock=loop)
        other = Limiter("acme/2", rules, store=store, clock=loop)
        assert (await limiter.usage()).rules["each"].keys == ()
        for contract, what, cost in (("A", "|", 1), ("B\\", "", 3), ("A", "x", 1), ("", "|\\|\n", 1)):
            (await limiter.acquire("bars", cost=cost, keys={"contract": contract, "what": what})).release()
        held = await limiter.acquire("bars", keys={"contract": "A", "what": "|"})
        (await other.acquire("bars", cost=9, keys={"contract": "C", "what": "y"})).release()

        async def taken(name):
            rule = (await limiter.usage()).rules[name]
            assert rule.used == max((key.used for key in rule.keys), default=0)
            assert not rule.is_partial
            return [(*key.keys.items(), key.used) for key in rule.keys]

        assert await taken("each") == [
            (("contract", "B\\"), ("what", ""), 3),
            (("contract", "A"), ("what", "|"), 2),
            (("contract", ""), ("what", "|\\|\n"), 1),
            (("contract", "A"), ("what", "x"), 1),
        ]
        assert await taken("each.2") == [(("contract", "A"), 3), (("contract", "B\\"), 3), (("contract", ""), 1)]
        assert await taken("open") == [(("contract", "A"), 1)]
        limiter.change([Window(name="each", limit=9, period_ns=600 * SECOND_NS, per="contract")])
        assert await taken("each") == []  # what was counted by other keys is none of its own
        held.release()

    simulate(program)


def test_a_look_at_more_keys_than_it_looks_at_says_so(store_of, monkeypatch):
    monkeypatch.setattr(usage, "MOST_KEYS", 2)
    monkeypatch.setattr(limiter_module, "MOST_KEYS", 2)

    async def program(loop):
        limiter = Limiter("acme", RULES, store=store_of(loop), clock=loop)
        seen = []
        for contract in "ABCD":
            await limiter.acquire("bars", keys={"contract": contract})
            same = (await limiter.usage()).rules["same"]
            seen.append((len(same.keys), same.is_partial))
        assert seen == [(1, False), (2, False), (3, True), (3, True)]

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


KINDS = [
    Window(name="rate", limit=2, period_ns=600 * SECOND_NS),
    Gcra(name="rate", limit=1, period_ns=600 * SECOND_NS, burst=2),
    Concurrency(name="rate", limit=2),
    MinGap(name="rate", gap_ns=600 * SECOND_NS),
]


@pytest.mark.parametrize("restart", [False, True], ids=["changed", "restarted"])
@pytest.mark.parametrize(("old", "new"), list(permutations(KINDS, 2)), ids=lambda rule: rule.kind)
def test_a_rule_that_becomes_another_kind_begins_with_all_of_its_room(store_of, old, new, restart):
    """RC-14: what the old kind has counted means nothing to the new one, and is there when the old one comes back."""

    async def all_of(limiter):
        """Take until somebody would have to wait; return how many went out."""
        count = 0
        while True:
            with anyio.move_on_after(1) as waited:
                await limiter.acquire("history")
            if waited.cancelled_caught:
                return count
            count += 1

    async def program(loop):
        store = store_of(loop)
        limiter = Limiter("acme", [old], store=store, clock=loop)
        counts = []
        for rule in (old, new, old, new):
            if restart:
                limiter = Limiter("acme", [rule], store=store, clock=loop)
            else:
                limiter.change([rule])
            counts.append(await all_of(limiter))
        room = {rule: 1 if isinstance(rule, MinGap) else 2 for rule in (old, new)}
        assert counts == [room[old], room[new], 0, 0]

    simulate(program)
