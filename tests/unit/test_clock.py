"""The clock that is injected everywhere."""

import asyncio
import time

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.testing.simloop import simulate

SECOND = 10**9


def test_outside_of_a_loop_it_is_the_computers_clock():
    before = time.monotonic_ns(), time.time_ns()
    clock = SystemClock()
    assert before[0] <= clock.monotonic_ns() <= time.monotonic_ns()
    assert before[1] <= clock.time_ns() <= time.time_ns()


def test_durations_are_those_of_the_loop():
    async def program(loop):
        clock = SystemClock()
        before = clock.monotonic_ns()
        await clock.sleep_until(before + 86_400 * SECOND)
        return clock.monotonic_ns() - before, loop.time()

    elapsed, now = simulate(program)
    assert 86_400 * SECOND <= elapsed < 86_400 * SECOND + 1_000
    assert now >= 86_400


def test_sleeping_until_a_time_that_has_been_lets_other_tasks_run():
    async def program():
        ran = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(ran.set_result, None)
        await SystemClock().sleep_until(-SECOND)
        return ran.done()

    assert asyncio.run(program())


def test_a_loop_that_wakes_too_early_sleeps_again():
    times = iter([0, 8, 8, 10])
    clock = SystemClock()
    clock.monotonic_ns = times.__next__
    asyncio.run(clock.sleep_until(10))
    assert list(times) == []


def test_once_used_in_a_loop_of_the_computers_time_it_asks_for_no_loop_again():
    clock = SystemClock()

    async def ask(_=None):
        clock.monotonic_ns()
        return clock.monotonic_ns

    clock.monotonic_ns()
    assert simulate(ask) != time.monotonic_ns
    assert asyncio.run(ask()) is time.monotonic_ns
