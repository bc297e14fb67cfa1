"""The small limiters that stand by themselves: pacer, cooldowns and the budget of retries."""

import asyncio

import pytest

from market_data_pipeline.errors import BudgetExhausted, ConfigurationError
from market_data_pipeline.pacing import Budget, CooldownManager, Pacer, RetryBudget
from market_data_pipeline.pacing.cooldown import SCOPES
from market_data_pipeline.testing import simulate

SECOND = 1_000_000_000


@pytest.mark.parametrize("values", [(0, 1), (-1, 1), (float("inf"), 1), (1, 0)])
def test_a_budget_is_above_zero(values):
    with pytest.raises(ConfigurationError, match="must be above 0"):
        Budget(*values)


def test_a_budget_below_one_a_second_keeps_its_rate():
    rule = Budget(0.1, 2).rule()
    assert (rule.limit, rule.period_ns, rule.burst) == (1, 10 * SECOND, 2)


def test_a_pacer_lets_a_burst_out_and_then_the_rate():
    """RC-2."""

    async def program(loop):
        pacer = Pacer(Budget(2, 3), clock=loop)
        times = []
        for _ in range(7):
            await pacer.allow()
            times.append(round(loop.time(), 6))
        return times

    assert simulate(program) == [0, 0, 0, 0.5, 1, 1.5, 2]


def test_who_waits_for_a_pacer_is_not_overtaken():
    """RC-7: first come, first served, whatever is asked for."""

    async def program(loop):
        pacer = Pacer(Budget(1, 3), clock=loop)
        done = []

        async def ask(name, many):
            await pacer.allow(many)
            done.append((name, round(loop.time(), 6)))

        async with asyncio.TaskGroup() as tasks:
            for name, many in (("all", 3), ("big", 3), ("small", 1)):
                tasks.create_task(ask(name, many))
                await asyncio.sleep(0.001)
        return done

    assert [name for name, _ in simulate(program)] == ["all", "big", "small"]


def test_more_than_the_burst_is_an_error_and_takes_nothing():
    """RC-8."""

    async def program(loop):
        pacer = Pacer(Budget(1, 3), clock=loop)
        with pytest.raises(ConfigurationError, match="more than it ever allows"):
            await pacer.allow(4)
        await pacer.allow(3)
        return loop.time()

    assert simulate(program) == 0


@pytest.mark.parametrize("many", [0, -3, 1.5, float("nan")])
def test_what_is_no_number_of_messages_is_an_error_and_gives_nothing_back(many):
    """RC-2: else it would refill the burst."""

    async def program(loop):
        pacer = Pacer(Budget(1, 1), clock=loop)
        await pacer.allow()
        with pytest.raises(ConfigurationError, match="costs a whole number above 0"):
            await pacer.allow(many)
        await pacer.allow()
        return round(loop.time(), 3)

    assert simulate(program) == 1


def test_a_reset_fills_the_burst_for_who_waits():
    async def program(loop):
        pacer = Pacer(Budget(0.001, 1), clock=loop)
        await pacer.allow()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pacer.allow())
            await asyncio.sleep(1)
            await pacer.reset()
        return loop.time()

    assert simulate(program) == 1


def test_a_pacer_without_a_clock_takes_the_time_of_its_loop():
    async def program(loop):
        pacer = Pacer(Budget(1, 1))
        await pacer.allow()
        await pacer.allow()
        return round(loop.time(), 3)

    assert simulate(program) == 1

    async def outside():
        await Pacer(Budget(1000, 1)).allow()

    asyncio.run(outside())


def test_overlapping_cooldowns_end_with_the_later():
    """RC-10."""

    async def program(loop):
        cooldowns = CooldownManager(10, clock=loop)
        await cooldowns.trigger_cooldown("acme")
        await cooldowns.trigger_cooldown("acme", 3)
        await asyncio.sleep(4)
        seen = [cooldowns.is_cooling_down("acme"), cooldowns.remaining_sec("acme"), cooldowns.is_cooling_down("other")]
        await asyncio.sleep(6)
        return [*seen, cooldowns.is_cooling_down("acme"), cooldowns.remaining_sec("acme")]

    assert simulate(program) == [True, 6.0, False, False, 0.0]


def test_a_cooldown_may_be_for_ever():
    """RC-10: as in earlier programs."""

    async def program(loop):
        cooldowns = CooldownManager(clock=loop)
        await cooldowns.trigger_cooldown("acme", float("inf"))
        await asyncio.sleep(86_400)
        return cooldowns.is_cooling_down("acme")

    assert simulate(program)


def test_scopes_whose_cooldown_is_over_are_forgotten():
    async def program(loop):
        cooldowns = CooldownManager(1, clock=loop)
        for number in range(SCOPES):
            await cooldowns.trigger_cooldown(str(number))
        await asyncio.sleep(2)
        await cooldowns.trigger_cooldown("new")
        return len(cooldowns._until)

    assert simulate(program) == 1


def test_only_a_part_of_the_calls_in_flight_may_be_retries():
    """RC-11: 20 %, and 3 in any case."""
    budget = RetryBudget("acme")
    open_ = []

    def fly(*, retry):
        flight = budget.flight("bars", retry=retry)
        flight.__enter__()
        open_.append(flight)

    for _ in range(3):
        fly(retry=True)
    with pytest.raises(BudgetExhausted, match="acme: bars is not tried again: 3 of 3 calls"):
        fly(retry=True)
    for _ in range(17):
        fly(retry=False)
    fly(retry=True)
    with pytest.raises(BudgetExhausted):
        fly(retry=True)
    assert (budget.calls, budget.retries) == (21, 4)
    for flight in open_:
        flight.__exit__(None, None, None)
    assert (budget.calls, budget.retries) == (0, 0)
