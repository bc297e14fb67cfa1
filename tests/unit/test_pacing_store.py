"""What a store decides about several calls at once."""

from market_data_pipeline.contracts.budget import Concurrency, Window
from market_data_pipeline.pacing.meters import NEVER
from market_data_pipeline.pacing.routes import Routes
from market_data_pipeline.pacing.store import LATER, MOST_METERS, Ask, MemoryStore

MS = 1_000_000
RULES = [
    Window(name="x", limit=3, period_ns=100 * MS, operations="x"),
    Window(name="y", limit=4, period_ns=50 * MS),
    Window(name="contract", limit=1, period_ns=70 * MS, per="contract", operations="z"),
]


def asks_of(*calls):
    """Return a store and asks of calls, each (operation, cost)."""
    routes = Routes("a", RULES)
    return MemoryStore(slack_ns=0), [Ask(routes.call(*call, {"contract": "A"})) for call in calls]


def verdicts(store, now, asks):
    """Return the verdicts as (when taken, until when it waits, for which rule), in milliseconds."""
    return [
        (
            None if verdict.at is None else verdict.at / MS,
            verdict.until if verdict.until == NEVER else verdict.until / MS,
            verdict.slot and verdict.slot.rule.name,
        )
        for verdict in store.decide(now * MS, asks)
    ]


def test_each_ask_takes_all_it_needs_or_nothing():
    """RC-1."""
    store, asks = asks_of(("x", 2), ("x", 2), ("y", 2), ("z", 1))
    assert verdicts(store, 7, asks[:3]) == [(7, NEVER, None), (None, 107, "x"), (7, NEVER, None)]
    assert verdicts(store, 56, asks[3:]) == [(None, 57, "y")]
    assert verdicts(store, 57, asks[3:]) == [(57, NEVER, None)]


def test_who_comes_later_waits_for_who_is_held_up_by_the_same_meter():
    """RC-7."""
    store, asks = asks_of(("x", 2), ("x", 2), ("x", 1))
    assert verdicts(store, 0, asks) == [(0, NEVER, None), (None, 100, "x"), (None, 100, None)]


def test_of_two_who_are_held_up_the_later_time_counts_for_who_comes_behind_both():
    """RC-8."""
    store, asks = asks_of(("y", 4), ("y", 1), ("x", 3), ("y", 1))
    assert [until for _, until, _ in verdicts(store, 0, asks)] == [NEVER, 50, 50, 50]


def test_what_somebody_needs_besides_may_be_taken_if_it_is_there_again_in_time():
    """RC-7: a call of another operation does not wait for a rule that does not concern it."""
    store, asks = asks_of(("x", 3), ("x", 3), ("y", 1))
    asks[1].claims.add("a|window|y")  # it was held up by `y` before
    assert verdicts(store, 0, asks) == [(0, NEVER, None), (None, 100, "x"), (0, NEVER, None)]


def test_what_somebody_needs_besides_may_not_be_taken_if_it_is_not_there_again_in_time():
    """RC-7: none waits for ever."""
    store, asks = asks_of(("x", 3), ("x", 3), ("y", 2))
    asks[1].claims.add("a|window|y")
    assert verdicts(store, 0, asks[:1]) == [(0, NEVER, None)]
    assert verdicts(store, 60, asks[1:]) == [(None, 100, "x"), (None, 100, None)]
    assert verdicts(store, 100, asks[1:]) == [(100, NEVER, None), (None, 150, "y")]


def test_all_who_stand_behind_one_who_may_be_back_are_asked_for_again():
    """RC-7."""
    store, asks = asks_of(*[("x", 1)] * 3)
    for place, ask in enumerate(asks):
        ask.place, ask.back = (place, 0.0), (0.5, 0.0)
    first, *others = store.decide(0, asks)
    assert (first.at, others) == (0, [LATER, LATER])


def test_a_look_ahead_leaves_meters_as_they_were():
    store, asks = asks_of(("x", 3), ("x", 3), ("y", 2))
    asks[1].claims.add("a|window|y")
    store.decide(0, asks[:1])
    store.decide(60 * MS, asks[1:2])
    before = {key: meter.dump() for key, meter in store._shared.items()}
    store.decide(60 * MS, asks[1:])
    after = {key: meter.dump() for key, meter in store._shared.items()}
    assert {key: after[key] for key in before} == before


def test_who_needs_two_that_are_given_back_gets_the_second_while_it_waits_for_the_first():
    """RC-7."""
    rules = [Concurrency(name=name, limit=1, operations={name, "both"}) for name in "ab"]
    routes, store = Routes("a", rules), MemoryStore(slack_ns=0)
    only_a, only_b, both = (Ask(routes.call(name, 1, {})) for name in ("a", "b", "both"))
    assert verdicts(store, 0, [only_a, only_b]) == [(0, NEVER, None), (0, NEVER, None)]
    assert verdicts(store, 1, [both]) == [(None, NEVER, "a")]
    store.settle(2, lambda meter, slot, _: meter.release(slot.cost), only_a.slots[:1])
    assert verdicts(store, 2, [both, only_a]) == [(None, NEVER, "b"), (None, NEVER, None)]
    store.settle(3, lambda meter, slot, _: meter.release(slot.cost), only_b.slots[:1])
    assert verdicts(store, 3, [both, only_b]) == [(3, NEVER, None), (None, NEVER, "b")]


def test_meters_that_are_as_good_as_new_are_forgotten_when_there_are_many():
    store, routes = MemoryStore(slack_ns=0), Routes("a", RULES[2:])
    for number in range(MOST_METERS + 2):
        assert store.take(number * MS, routes.call("z", 1, {"contract": str(number)}))
    assert len(store._apart) < 100
    assert not store.take((MOST_METERS + 10) * MS, routes.call("z", 1, {"contract": str(MOST_METERS + 1)}))


def test_what_is_given_back_after_a_change_does_not_bring_the_old_rule_back():
    """RC-14."""
    old, new = (Routes("a", [Concurrency(name="open", limit=limit)]) for limit in (2, 1))
    store = MemoryStore(slack_ns=0)
    held = [old.call("x", 1, {}) for _ in range(2)]
    assert [store.take(0, slots) for slots in held] == [True, True]
    assert not store.take(1, new.call("x", 1, {}))
    store.settle(2, lambda meter, slot, _: meter.release(slot.cost), held[0][:1])
    assert not store.take(3, new.call("x", 1, {}))
