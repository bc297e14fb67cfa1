"""The limiter: who is let out, when, and who is told no."""

import asyncio
import logging

import anyio
import pytest

from market_data_pipeline.contracts.budget import SECOND_NS, Concurrency, Gcra, MinGap, Window
from market_data_pipeline.errors import (
    BudgetExhausted,
    BudgetUnavailable,
    ConfigurationError,
    DeadlineExceeded,
    MarketDataError,
    Overloaded,
)
from market_data_pipeline.pacing import Limiter, MemoryStore
from market_data_pipeline.pacing.dispatcher import LOOK_NS, MOVES
from market_data_pipeline.pacing.feedback import MAX_COOLDOWN_NS
from market_data_pipeline.testing import simulate

TWO = Window(name="two", limit=2, period_ns=10 * SECOND_NS)
OPEN = Concurrency(name="open", limit=1, operations="x")
LINES = Concurrency(name="lines", limit=3, operations=())
SAME = MinGap(name="same", gap_ns=15 * SECOND_NS, per="request", operations="x")


def run(program, *rules, slack_ns=0, store=None, **options):
    """Run a program that gets a limiter and the loop, in virtual time."""

    async def main(loop):
        inner = MemoryStore(slack_ns=slack_ns)
        return await program(Limiter("test", rules, store=store or inner, clock=loop, **options), loop)

    return simulate(main)


async def turn():
    """Let all that was begun before come first, whatever the seed."""
    await asyncio.sleep(1e-6)


async def times(limiter, loop, *calls):
    """Ask for calls in this order, and return the second in which each went out, or the error that it got."""

    async def one(operation, more):
        try:
            await limiter.acquire(operation, **more)
        except MarketDataError as error:
            return type(error)
        return round(loop.time(), 3)

    tasks = []
    for operation, more in calls:
        tasks.append(asyncio.create_task(one(operation, more)))
        await turn()
    return await asyncio.gather(*tasks)


# When calls go out


def test_a_call_goes_out_when_all_its_rules_allow_it():
    """RC-1."""
    rules = [
        Window(name="minutes", limit=6, period_ns=100 * SECOND_NS),
        Window(name="contract", limit=2, period_ns=4 * SECOND_NS, per="contract"),
        Gcra(name="even", limit=2, burst=1),
    ]
    calls = [("x", {"keys": {"contract": name}}) for name in "AAAAAAB"]
    assert run(lambda limiter, loop: times(limiter, loop, *calls), *rules) == [0, 0.5, 4, 4.5, 8, 100, 1]


def test_windows_are_stretched_by_50_ms():
    """RC-3."""

    async def program(limiter, loop):
        return await times(Limiter("test", [TWO], clock=loop), loop, ("x", {"cost": 2}), ("x", {}))

    assert run(program) == [0, 10.05]


def test_the_time_is_that_of_the_loop_unless_it_is_said():
    async def program(_limiter, loop):
        return await times(Limiter("test", [TWO]), loop, ("x", {"cost": 2}), ("x", {}))

    assert run(program) == [0, 10.05]


def test_without_rules_everything_goes_out():
    assert run(lambda limiter, loop: times(limiter, loop, *[("x", {"cost": 10**6})] * 100)) == [0] * 100


def test_what_was_open_is_given_back_once_and_the_next_goes_out():
    """RC-9."""

    async def program(limiter, loop):
        grant = await limiter.acquire("x")
        waiting = [asyncio.create_task(limiter.acquire("x")) for _ in range(2)]
        await asyncio.sleep(5)
        for _ in range(3):
            grant.release()
            grant.refund()
        await asyncio.sleep(5)
        return [task.done() for task in waiting], [task.cancel() for task in waiting]

    assert run(program, OPEN)[0] == [True, False]


def test_what_never_went_out_is_refunded_and_goes_to_who_waits():
    """RC-9."""

    async def program(limiter, loop):
        await limiter.acquire("x")
        grant = await limiter.acquire("x")
        waiting = asyncio.create_task(times(limiter, loop, ("x", {}), ("x", {})))
        await asyncio.sleep(3)
        grant.refund()
        grant.release()
        return await waiting

    assert run(program, TWO) == [3, 10]


def test_a_grant_says_what_was_taken_and_when():
    async def program(limiter, loop):
        await asyncio.sleep(7)
        grant = await limiter.acquire("x")
        return grant.at, [slot.rule.name for slot in grant.slots]

    assert run(program, TWO) == (7 * SECOND_NS, ["two", "cooldown", "cooldown"])


def test_to_try_takes_what_is_there_unless_somebody_waits():
    async def program(limiter, loop):
        first = limiter.try_acquire("x", cost=1)
        waiting = asyncio.create_task(limiter.acquire("x", cost=2))
        await turn()
        second = limiter.try_acquire("x")
        waiting.cancel()
        await turn()
        third, fourth = limiter.try_acquire("x"), limiter.try_acquire("x")
        return [grant is not None for grant in (first, second, third, fourth)]

    assert run(program, TWO) == [True, False, True, False]


# Who is told no


@pytest.mark.parametrize(("left", "answer", "waited"), [(9.999, DeadlineExceeded, 0), (10.001, 10, 10)])
def test_a_deadline_that_cannot_be_met_is_refused_at_once(left, answer, waited):
    """RC-8."""

    async def program(limiter, loop):
        await limiter.acquire("x", cost=2)
        answers = await times(limiter, loop, ("x", {"deadline": int(left * SECOND_NS)}))
        return answers, limiter.waiting, loop.time()

    assert run(program, TWO) == ([answer], 0, pytest.approx(waited, abs=1e-4))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),  # behind another of its line
        ({"tenant": "a"}, {"tenant": "b"}),  # behind somebody else
        ({"keys": {"request": "1"}}, {"keys": {"request": "1"}}),  # behind one that waits apart
    ],
)
@pytest.mark.parametrize("refused", [{"deadline": 9 * SECOND_NS}, {"patient": False}])
def test_who_stands_behind_others_is_refused_at_once_too(first, second, refused):
    """RC-8."""
    rules = [Window(name="two", limit=2, period_ns=10 * SECOND_NS, per="request" if "keys" in first else ())]

    async def program(limiter, loop):
        await limiter.acquire("x", cost=2, **first)
        waiting = asyncio.create_task(limiter.acquire("x", **first))
        await asyncio.sleep(1)
        (answer,) = await times(limiter, loop, ("x", second | refused))
        waited = loop.time()
        await waiting
        return answer, waited

    error = BudgetExhausted if "patient" in refused else DeadlineExceeded
    assert run(program, *rules) == (error, pytest.approx(1))


def test_a_deadline_that_is_over_is_refused_though_there_is_room():
    """RC-8."""

    async def program(limiter, loop):
        await asyncio.sleep(5)
        with pytest.raises(DeadlineExceeded, match=r"its deadline was 1 s ago$"):
            await limiter.acquire("x", deadline=4 * SECOND_NS)
        await asyncio.sleep(60)
        with pytest.raises(
            DeadlineExceeded, match=r"65 s ago; a deadline is a time of `clock.monotonic_ns\(\)`, not how"
        ):
            await limiter.acquire("x", deadline=10)
        return [limiter.try_acquire("x") is not None for _ in range(3)]

    assert run(program, TWO) == [True, True, False]


def test_a_deadline_that_could_not_be_foreseen_ends_the_wait_on_time():
    """RC-8."""

    async def program(limiter, loop):
        await limiter.acquire("x")
        answers = await times(limiter, loop, ("x", {"deadline": 4 * SECOND_NS}))
        return answers, round(loop.time(), 3), limiter.waiting

    assert run(program, OPEN) == ([DeadlineExceeded], 4, 0)


def test_a_cooldown_tells_who_waits_that_a_deadline_cannot_be_met_any_more():
    """RC-8, RC-10."""

    async def program(limiter, loop):
        await limiter.acquire("x", cost=2)
        waiting = asyncio.create_task(times(limiter, loop, *[("x", {"deadline": 20 * SECOND_NS})] * 2, ("x", {})))
        await asyncio.sleep(3)
        limiter.cool(60 * SECOND_NS)
        return await waiting

    assert run(program, TWO) == [DeadlineExceeded, DeadlineExceeded, 63]


def test_a_refusal_says_whose_budget_which_rule_and_how_long():
    """RC-8."""

    async def program(limiter, loop):
        await limiter.acquire("x", cost=2)
        await asyncio.sleep(1)
        with pytest.raises(
            BudgetExhausted, match="test: x is not called: there is no room now: rule 'two' for 9 s"
        ) as no:
            await limiter.acquire("x", patient=False)
        with pytest.raises(DeadlineExceeded, match=r"it would wait for rule 'two' for 9 s, and has 3\.5 s;"):
            await limiter.acquire("x", deadline=9 * SECOND_NS // 2)
        return no.value.account, no.value.operation, no.value.rule, no.value.retry_after

    assert run(program, TWO) == ("test", "x", "two", pytest.approx(9))


def test_who_waited_in_vain_is_told_how_long():
    """RC-8."""

    async def program(limiter, loop):
        await limiter.acquire("x")
        await asyncio.sleep(1)
        with pytest.raises(DeadlineExceeded, match="test: x is not called: it waited 3 s, up to its deadline") as no:
            await limiter.acquire("x", deadline=4 * SECOND_NS)
        return no.value.account, no.value.operation

    assert run(program, OPEN) == ("test", "x")


def test_a_cost_that_never_fits_is_a_mistake():
    """RC-8."""

    async def program(limiter, loop):
        return await times(limiter, loop, ("x", {"cost": 3}), ("x", {"cost": 0}))

    assert run(program, TWO) == [ConfigurationError] * 2


def test_who_waits_is_bounded():
    """RC-8."""

    async def program(limiter, loop):
        keys = [{"keys": {"request": str(number % 2)}} for number in range(6)]
        waiting = asyncio.create_task(times(limiter, loop, *[("x", each) for each in keys]))
        await asyncio.sleep(0.5)
        waited = limiter.waiting
        return waited, await waiting

    waited, answers = run(program, Window(name="one", limit=1, period_ns=SECOND_NS), SAME, max_waiters=3)
    assert waited == 3
    assert answers.count(Overloaded) == 2


# Cancellation


@pytest.mark.parametrize("how", ["native", "scope"])
def test_who_is_cancelled_has_taken_nothing_and_the_next_goes_on(how):
    """RC-9."""

    async def program(limiter, loop):
        await limiter.acquire("x")
        scope = anyio.CancelScope()

        async def give_up():
            with scope:
                await limiter.acquire("x", cost=2)

        task = asyncio.create_task(give_up())
        await asyncio.sleep(1)
        next_ = asyncio.create_task(times(limiter, loop, ("x", {}), ("x", {})))
        await asyncio.sleep(1)
        task.cancel() if how == "native" else scope.cancel()
        return await next_, limiter.waiting

    assert run(program, TWO) == ([2, 10], 0)


def test_who_is_cancelled_in_the_very_turn_in_which_it_is_granted_has_taken_nothing():
    """RC-9."""

    async def program(limiter, loop):
        grant = await limiter.acquire("x")
        task = asyncio.create_task(limiter.acquire("x"))
        await asyncio.sleep(1)
        grant.release()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), limiter.try_acquire("x") is not None

    assert run(program, OPEN) == (True, True)


def test_who_is_cancelled_in_the_very_turn_in_which_it_is_refused_leaves_no_trace():
    """RC-9."""

    async def program(limiter, loop):
        await limiter.acquire("x", cost=2)
        task = asyncio.create_task(limiter.acquire("x", deadline=50 * SECOND_NS))
        await asyncio.sleep(1)
        limiter.cool(600 * SECOND_NS)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), limiter.waiting

    assert run(program, TWO) == (True, 0)


@pytest.mark.parametrize("seed", range(8))
def test_a_deadline_that_ends_in_the_very_turn_in_which_there_is_room_loses_nothing(seed):
    """RC-9."""

    async def main(loop):
        limiter = Limiter("test", [OPEN], clock=loop)
        grant = await limiter.acquire("x")
        deadline = 4 * SECOND_NS
        waiting = asyncio.create_task(limiter.acquire("x", deadline=deadline))
        await turn()
        loop.call_at((deadline + 1) / 1e9, grant.release)
        await asyncio.wait([waiting])
        if waiting.exception() is None:
            waiting.result().release()
        return waiting.exception() is None, limiter.waiting, limiter.try_acquire("x") is not None

    assert simulate(main, seed=seed)[1:] == (0, True)


# What refusals teach


def test_after_a_refusal_nothing_of_that_operation_goes_out_for_a_while():
    """RC-10."""

    async def program(limiter, loop):
        limiter.refused(await limiter.acquire("x"), cooldown_ns=30 * SECOND_NS)
        return await times(limiter, loop, ("x", {}), ("y", {}))

    assert run(program) == [30, 0]


def test_a_refusal_may_concern_the_whole_account():
    """RC-10."""

    async def program(limiter, loop):
        limiter.refused(await limiter.acquire("x"), cooldown_ns=30 * SECOND_NS, account_wide=True)
        return await times(limiter, loop, ("x", {}), ("y", {}))

    assert run(program) == [30, 30]


def test_overlapping_cooldowns_last_up_to_the_later_end_and_no_longer_than_15_minutes():
    """RC-10."""

    async def program(limiter, loop):
        limiter.cool(30 * SECOND_NS, scope="x")
        limiter.cool(10 * SECOND_NS, scope="x")
        limiter.cool(MAX_COOLDOWN_NS * 10, scope="y")
        limiter.refused(await limiter.acquire("z"), cooldown_ns=MAX_COOLDOWN_NS * 10)
        return await times(limiter, loop, *[(name, {}) for name in "xyz"])

    assert run(program) == [30, 900, 900]


def test_how_long_a_cooldown_still_lasts_is_told():
    """RC-10."""

    async def program(limiter, loop):
        seen = [limiter.cooldown_ns()]
        await asyncio.sleep(3)
        limiter.cool(10 * SECOND_NS)
        for cooldown_ns in (1 * SECOND_NS, 0, 30 * SECOND_NS):
            await asyncio.sleep(2)
            limiter.cool(cooldown_ns)
            seen.append(limiter.cooldown_ns())
        limiter.warm()
        return [*seen, limiter.cooldown_ns(), limiter.cooldown_ns(scope="x")]

    assert run(program) == [0, 8 * SECOND_NS, 6 * SECOND_NS, 30 * SECOND_NS, 0, 0]


def test_a_refusal_slows_down_for_a_while_and_never_above_the_rules():
    """RC-10."""

    async def program(limiter, loop):
        for _ in range(200):
            grant = await limiter.acquire("x")
        limiter.refused(grant, cooldown_ns=0)
        begin, gaps = loop.time(), []
        for _ in range(1_000):
            before = loop.time()
            await limiter.acquire("x")
            gaps.append(loop.time() - before)
        return gaps, loop.time() - begin

    gaps, _ = run(program, Gcra(name="even", limit=10))
    assert gaps[0] == pytest.approx(1 / 7, rel=0.05)
    assert gaps[-1] == pytest.approx(1 / 10)
    assert min(gaps) > 0.0999


def test_a_limiter_that_is_not_adaptive_only_cools_down():
    """RC-10."""

    async def program(limiter, loop):
        for _ in range(200):
            grant = await limiter.acquire("x")
        limiter.refused(grant, cooldown_ns=SECOND_NS)
        begin = loop.time()
        return [round(each - begin, 3) for each in await times(limiter, loop, *[("x", {})] * 3)]

    assert run(program, Gcra(name="even", limit=10), adaptive=False) == [1, 1.1, 1.2]


def test_an_operator_ends_a_cooldown_for_who_waits():
    """RC-10."""

    async def program(limiter, loop):
        limiter.cool(30 * SECOND_NS)
        waiting = asyncio.create_task(times(limiter, loop, ("x", {})))
        await asyncio.sleep(5)
        limiter.warm()
        return await waiting

    assert run(program) == [5]


# Other rules


def test_other_rules_hold_at_once_for_who_waits():
    """RC-14."""

    async def program(limiter, loop):
        await limiter.acquire("x", cost=2)
        waiting = asyncio.create_task(times(limiter, loop, ("x", {}), ("x", {})))
        await asyncio.sleep(3)
        limiter.change([Window(name="two", limit=3, period_ns=10 * SECOND_NS)])
        return await waiting, [rule.limit for rule in limiter.rules]

    assert run(program, TWO) == ([3, 10], [3])


def test_what_was_taken_counts_under_other_rules_and_is_given_back_under_them():
    """RC-14."""

    async def program(limiter, loop):
        grants = [await limiter.acquire("x") for _ in range(2)]
        limiter.change([Concurrency(name="open", limit=1)])
        waiting = asyncio.create_task(limiter.acquire("x"))
        went = []
        for grant in grants:
            await asyncio.sleep(1)
            grant.release()
            await asyncio.sleep(1)
            went.append(waiting.done())
        return went, limiter.try_acquire("x")

    assert run(program, Concurrency(name="open", limit=2)) == ([False, True], None)


def test_who_does_not_fit_other_rules_is_told_so():
    """RC-14."""

    async def program(limiter, loop):
        await limiter.acquire("x", cost=2)
        waiting = asyncio.create_task(times(limiter, loop, ("x", {"cost": 2}), ("x", {}), ("x", {"cost": 2})))
        gone = asyncio.create_task(limiter.acquire("x", cost=2))
        await asyncio.sleep(3)
        gone.cancel()
        limiter.change([Window(name="two", limit=1, period_ns=10 * SECOND_NS)])
        return await waiting, limiter.waiting

    assert run(program, TWO) == ([ConfigurationError, 10, ConfigurationError], 0)


def test_who_waits_apart_or_for_a_lease_is_routed_again_too():
    """RC-14."""

    async def program(limiter, loop):
        held = await limiter.lease("lines", 3)
        await limiter.acquire("x", keys={"request": "1"})
        waiting = asyncio.create_task(times(limiter, loop, ("x", {"keys": {"request": "1"}})))
        lease = asyncio.create_task(limiter.lease("lines", 2, deadline=10**12))
        await asyncio.sleep(1)
        limiter.change([Concurrency(name="lines", limit=5, operations=()), MinGap(name="same", gap_ns=4 * SECOND_NS)])
        assert (await lease).slots[0].cost == 2
        held.release()
        return round(loop.time(), 3), await waiting

    # Without `per` it is another meter.
    assert run(program, LINES, SAME) == (1, [1])


# Leases


def test_a_lease_is_held_until_it_is_released():
    async def program(limiter, loop):
        grant = await limiter.lease("lines", 2)
        with pytest.raises(BudgetExhausted, match="rule 'lines' until something is given back"):
            await limiter.lease("lines", 2)
        waiting = asyncio.create_task(limiter.lease("lines", 2, deadline=50 * SECOND_NS))
        await asyncio.sleep(5)
        grant.release()
        await waiting
        with pytest.raises(DeadlineExceeded):
            await limiter.lease("lines", 3, deadline=20 * SECOND_NS)
        return round(loop.time(), 3)

    assert run(program, LINES) == 20


def test_a_lease_does_not_stand_behind_calls_of_an_operation_of_its_name():
    """RC-7: they take from other meters."""

    async def main(limiter, loop):
        await limiter.acquire("lines")
        waiting = asyncio.create_task(limiter.acquire("lines"))
        await turn()
        await limiter.lease("lines")
        assert not waiting.done()
        await waiting
        return loop.time()

    assert run(main, Window(name="one", limit=1, period_ns=10 * SECOND_NS), LINES) == pytest.approx(10)


def test_a_lease_is_of_one_and_of_ordinary_priority_unless_more_is_said():
    """RC-7."""

    async def program(limiter, loop):
        held = await limiter.lease("lines")
        waiting = asyncio.create_task(limiter.lease("lines", 3, deadline=50 * SECOND_NS))
        await turn()
        (wait,) = limiter.explain()
        waiting.cancel()
        return held.slots[0].cost, wait.cost, wait.priority

    assert run(program, LINES) == (1, 3, 5)


def test_a_lease_is_not_refused_for_its_rate():
    async def program(limiter, loop):
        limiter.refused(await limiter.lease("lines"), cooldown_ns=SECOND_NS)

    with pytest.raises(ConfigurationError, match="test, lines: what is leased has no rate"):
        run(program, LINES)


def test_a_lease_of_what_no_rule_limits_is_a_mistake():
    async def program(limiter, loop):
        await limiter.lease("line")

    with pytest.raises(ConfigurationError, match="no rule limits 'line'"):
        run(program, LINES)


# Who waits for what


def test_everybody_who_waits_is_told_for_which_rule_and_how_long():
    async def program(limiter, loop):
        await asyncio.sleep(1)
        await limiter.acquire("x", keys={"request": "1"})
        await limiter.acquire("y")
        calls = [
            limiter.acquire("x", keys={"request": "1"}, tenant="t", priority=7),
            limiter.acquire("x", keys={"request": "1"}),
            limiter.acquire("y"),
            limiter.acquire("y"),
        ]
        tasks = []
        for call in calls:
            tasks.append(asyncio.create_task(call))
            await turn()
        await asyncio.sleep(4)
        explained = limiter.explain()
        for task in tasks:
            task.cancel()
        return explained

    waits = run(program, SAME, Concurrency(name="open", limit=1, operations="y"))
    assert [(one.operation, one.rule, one.left_ns and round(one.left_ns / SECOND_NS, 3)) for one in waits] == [
        ("x", "same", 11),
        ("x", "same", 11),
        ("y", "open", None),
        ("y", "open", None),
    ]
    assert (waits[0].account, waits[0].tenant, waits[0].cost) == ("test", "t", 1)
    assert [one.priority for one in waits] == [7, 5, 5, 5]
    assert (waits[0].keys, waits[0].waited_ns) == ({"request": "1"}, pytest.approx(4 * SECOND_NS, rel=1e-3))


def test_a_call_that_waits_for_its_own_keys_does_not_hold_up_others():
    """RC-7."""
    calls = [("x", {"keys": {"request": name}}) for name in ("1", "1", "1", "2", "3")]
    assert run(lambda limiter, loop: times(limiter, loop, *calls), SAME) == [0, 15, 30, 0, 0]


def test_who_asks_for_less_does_not_overtake_who_waits_apart():
    """RC-7."""
    rule = Window(name="two", limit=2, period_ns=10 * SECOND_NS, per="request")
    calls = [("x", {"keys": {"request": "1"}, "cost": cost}) for cost in (1, 2, 1)]
    assert run(lambda limiter, loop: times(limiter, loop, *calls), rule) == [0, 10, 20]


def test_who_waits_apart_and_is_cancelled_leaves_the_others_where_they_are():
    """RC-9."""

    async def program(limiter, loop):
        await limiter.acquire("x", keys={"request": "1"})
        first = asyncio.create_task(limiter.acquire("x", keys={"request": "1"}))
        await asyncio.sleep(1)
        rest = asyncio.create_task(times(limiter, loop, *[("x", {"keys": {"request": "1"}})] * 2))
        await asyncio.sleep(1)
        first.cancel()
        return await rest

    assert run(program, SAME) == [15, 30]


def test_who_waits_apart_for_something_that_is_given_back_goes_on_then():
    """RC-9."""

    async def program(limiter, loop):
        grant = await limiter.acquire("x", keys={"request": "1"})
        waiting = asyncio.create_task(times(limiter, loop, ("x", {"keys": {"request": "1"}})))
        await asyncio.sleep(7)
        assert limiter.try_acquire("x", keys={"request": "1"}) is None
        grant.release()
        return await waiting

    assert run(program, Concurrency(name="open", limit=1, per="request")) == [7]


@pytest.mark.parametrize("per", [False, True])
def test_who_needs_two_meters_is_not_starved_by_those_who_need_one_of_them(per):
    """RC-7: in time `a` and `b` would never be free together."""
    rules = [
        Window(name=name, limit=1, period_ns=2 * SECOND_NS, operations={name, "both"}, per=name if per else ())
        for name in "ab"
    ]
    keys = {"a": "1", "b": "1"}

    async def program(limiter, loop):
        async def only(name, begin):
            await asyncio.sleep(begin)
            while True:
                await limiter.acquire(name, keys=keys)

        tasks = [asyncio.create_task(only(name, begin)) for name, begin in (("a", 0), ("b", 1)) for _ in range(3)]
        await asyncio.sleep(5.5)
        (went,) = await times(limiter, loop, ("both", {"keys": keys}))
        for task in tasks:
            task.cancel()
        return went

    assert run(program, *rules) < 6 + 4 * MOVES


def test_one_who_waits_long_for_one_rule_does_not_keep_another_from_others():
    """RC-7: it was held up by the shared rate first."""
    rules = [
        Gcra(name="even", limit=1),
        Window(name="hours", limit=1, period_ns=3600 * SECOND_NS, operations="x"),
    ]

    async def program(limiter, loop):
        await limiter.acquire("x")
        slow = asyncio.create_task(limiter.acquire("x"))
        await asyncio.sleep(0.5)
        answers = await times(limiter, loop, *[("y", {"tenant": "b"})] * 5)
        slow.cancel()
        return answers

    assert run(program, *rules) == [1, 2, 3, 4, 5]


# A store in another thread


class Elsewhere:
    """A store that answers a millisecond later, and may fail; somebody else uses it too."""

    inline = False
    depth = 2

    def __init__(self):
        self.inner = MemoryStore(slack_ns=0)
        self.error = None
        self.decide = self.inner.decide
        self.settle = self.inner.settle
        self.cancelled = False

    def submit(self, work):
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def do():
            if self.cancelled:
                done.cancel()
            elif self.error:
                done.set_exception(self.error)
            else:
                done.set_result(work())

        loop.call_later(0.001, do)
        return done


def test_a_store_elsewhere_is_asked_in_fair_order_too():
    """RC-7."""
    calls = [("x", {"tenant": tenant}) for tenant in "aab"]
    answers = run(lambda limiter, loop: times(limiter, loop, *calls, ("x", {})), TWO, store=Elsewhere())
    assert answers == [0.001, 10.002, 0.002, 10.001]


def test_nothing_is_allowed_while_a_store_fails():
    """RC-6."""
    store = Elsewhere()

    async def program(limiter, loop):
        store.error = BudgetUnavailable("the disk is gone")
        gone = asyncio.create_task(limiter.acquire("x"))
        await turn()
        gone.cancel()
        refused = await times(limiter, loop, *[("x", {})] * 3)
        store.error = None
        return refused, await times(limiter, loop, ("x", {})), limiter.waiting

    assert run(program, TWO, store=store) == ([BudgetUnavailable] * 3, [0.004], 0)


def test_who_is_cancelled_while_a_store_decides_has_taken_nothing():
    """RC-9."""
    store = Elsewhere()

    async def program(limiter, loop):
        task = asyncio.create_task(limiter.acquire("x", cost=2))
        await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.sleep(0.1)
        refused = asyncio.create_task(limiter.acquire("x", cost=2))
        await refused
        late = asyncio.create_task(limiter.acquire("x"))
        await asyncio.sleep(0.0005)
        late.cancel()
        await asyncio.sleep(0.1)
        return limiter.waiting, [task.cancelled() for task in (task, late)]

    assert run(program, TWO, store=store) == (0, [True, True])


def test_what_another_process_gives_back_is_found_within_a_tenth_of_a_second():
    """RC-5."""
    store = Elsewhere()

    async def program(limiter, loop):
        grant = await limiter.acquire("x", keys={"request": "1"})
        waiting = asyncio.create_task(times(limiter, loop, ("x", {"keys": {"request": "1"}})))
        await asyncio.sleep(7)
        store.settle(0, lambda meter, slot, _: meter.release(slot.cost), grant.slots[:1])
        return await waiting

    for rule in (OPEN, Concurrency(name="open", limit=1, per="request")):
        (went,) = run(program, rule, store=store)
        assert 7 <= went <= 7.01 + LOOK_NS / SECOND_NS


def test_what_cannot_be_given_back_stays_taken_and_is_told(caplog):
    """RC-6."""
    store = Elsewhere()

    async def program(limiter, loop):
        grant = await limiter.acquire("x")
        store.error = BudgetUnavailable("the disk is gone")
        grant.release()
        await asyncio.sleep(1)

    with caplog.at_level(logging.ERROR):
        run(program, OPEN, store=store)
    assert "what was given back cannot be noted, so it stays taken: the disk is gone" in caplog.text


def test_what_cannot_be_given_back_is_told_once_until_something_can(caplog):
    """G-5."""
    store = Elsewhere()

    async def program(limiter, loop):
        told = []
        grants = [await limiter.acquire("x") for _ in range(4)]
        for grant, error in zip(grants, ["gone", "gone", None, "gone"], strict=True):
            store.error = error and BudgetUnavailable(error)
            grant.release()
            await asyncio.sleep(1)
            told.append(len(caplog.records))
        return told

    with caplog.at_level(logging.ERROR):
        assert run(program, Concurrency(name="open", limit=4), store=store) == [1, 1, 1, 2]


@pytest.mark.parametrize("priority", [-1, 10, 10**6])
def test_a_priority_is_0_to_9(priority):
    """RC-7."""

    async def program(limiter, loop):
        for each in (0, 9, priority):
            await limiter.acquire("x", priority=each)

    with pytest.raises(ConfigurationError, match=f"test, x: a priority is 0 to 9, not {priority}"):
        run(program)


@pytest.mark.parametrize("many", [0, -1, 1.5])
def test_a_lease_is_of_at_least_one(many):
    async def program(limiter, loop):
        await limiter.lease("lines", many)

    with pytest.raises(ConfigurationError, match=f"test, lines: a lease is of a whole number above 0, not {many}"):
        run(program, LINES)


def test_a_release_while_a_store_decides_is_heeded_behind_it():
    """RC-9: no wake-up is lost."""
    store = Elsewhere()

    async def program(limiter, loop):
        grant = await limiter.acquire("x")
        waiting = asyncio.create_task(times(limiter, loop, ("x", {})))
        await asyncio.sleep(0.0005)
        grant.release()
        return await waiting

    (went,) = run(program, OPEN, store=store)
    assert went < 0.01


def test_who_comes_while_a_store_decides_is_asked_for_behind_it():
    """RC-7: nobody waits until the store is looked at anyway."""

    async def program(limiter, loop):
        grant = await limiter.acquire("x")
        waiting = asyncio.create_task(limiter.acquire("x"))
        await asyncio.sleep(0.0005)
        await limiter.acquire("y")
        went = loop.time()
        grant.release()
        await waiting
        return went

    assert run(program, OPEN, store=Elsewhere()) < LOOK_NS / 1e9 / 10


def test_a_store_that_is_closed_decides_nothing():
    store = Elsewhere()

    async def program(limiter, loop):
        grant = await limiter.acquire("x")
        store.cancelled = True
        grant.refund()
        task = asyncio.create_task(limiter.acquire("x"))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return limiter.waiting

    assert run(program, TWO, store=store) == 0


def test_a_store_of_this_process_also_works_as_others_do():
    async def program(limiter, loop):
        return await MemoryStore().submit(lambda: 7)

    assert run(program) == 7


# Those who were let out come back


def test_what_is_free_at_once_goes_on_to_others_if_nobody_comes_back():
    """RC-7: no room is kept for who does not ask."""

    async def program(limiter, loop):
        limiter.cool(SECOND_NS)
        calls = [("x", {"tenant": "once"}), *[("x", {"tenant": "many"})] * 9]
        return await times(limiter, loop, *calls)

    assert run(program, Gcra(name="g", limit=1, burst=10)) == [1.0] * 10


class Counted(MemoryStore):
    """A store that counts how often it decides."""

    decisions = 0

    def decide(self, now, asks):
        self.decisions += 1
        return super().decide(now, asks)


def test_a_crowd_is_served_in_few_decisions():
    """RC-7: nothing polls, and a fast rate is not a reason to wake up for each call."""
    store = Counted()

    async def program(limiter, loop):
        async def caller():
            while loop.time() < 1:
                await limiter.acquire("x")

        await asyncio.gather(*[caller() for _ in range(100)])

    run(program, Gcra(name="g", limit=50_000, burst=500), store=store)
    assert store.decisions < 8_000


def test_all_who_come_or_leave_in_one_turn_are_one_decision():
    """RC-7: a thousand tenants do not stop the loop with a look at all of them for each."""
    store = Counted()

    async def program(limiter, loop):
        limiter.cool(SECOND_NS)
        waiting = [asyncio.create_task(limiter.acquire("x", tenant=str(number))) for number in range(1_000)]
        await turn()
        for task in waiting[:-1]:
            task.cancel()
        await waiting[-1]
        return limiter.waiting, round(loop.time(), 3)

    assert run(program, Gcra(name="g", limit=1), store=store) == (0, 1.0)
    assert store.decisions <= 6


def test_behind_a_crowd_the_store_is_asked_for_few_at_a_time_again():
    """RC-7: who cannot go out yet is not asked for each time."""

    class Counted(MemoryStore):
        asked = 0

        def decide(self, now, asks):
            self.asked = len(asks)
            return super().decide(now, asks)

    store, seen = Counted(slack_ns=0), []

    async def program(limiter, loop):
        limiter.cool(SECOND_NS)
        tasks = [asyncio.create_task(limiter.acquire("x")) for _ in range(100)]
        await asyncio.sleep(1.5)
        for _ in range(10):
            await asyncio.sleep(1)
            seen.append(store.asked)
        for task in tasks:
            task.cancel()

    run(program, Gcra(name="g", limit=1, burst=50), store=store)
    assert seen[-1] <= 2


def test_a_limiter_goes_on_in_another_loop():
    """RC-9: what was to happen in a loop that has ended is not waited for."""
    limiter = Limiter("test", [Gcra(name="g", limit=1_000, burst=1)])

    async def two_calls():
        await limiter.acquire("x")
        await limiter.acquire("x")

    with asyncio.Runner() as ended, asyncio.Runner() as other:
        loop = ended.get_loop()
        waiting = loop.create_task(two_calls())
        loop.call_soon(limiter.cool, 900 * SECOND_NS)
        last = lambda: (limiter.warm(), loop.stop())  # noqa: E731 (the last turn: somebody is let out in it)
        loop.call_soon(loop.call_later, 0.002, last)  # counted from after the first call: by then there is room
        loop.run_forever()
        other.run(asyncio.wait_for(two_calls(), 5))
        loop.run_until_complete(waiting)
