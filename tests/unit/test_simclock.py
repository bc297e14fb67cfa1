"""Clocks that are set, and clocks of other computers, in a simulation."""

import pytest

from market_data_pipeline.contracts import Clock
from market_data_pipeline.testing import SimClock, simulate
from market_data_pipeline.testing.simloop import START_NS

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND


def test_the_wall_time_jumps_and_durations_do_not():
    """G-1."""

    async def program(loop):
        await loop.sleep_until(SECOND)
        loop.jump(HOUR)
        ahead = loop.time_ns()
        loop.jump(-2 * HOUR)
        await loop.sleep_until(3 * SECOND)
        return ahead, loop.time_ns(), loop.monotonic_ns()

    assert simulate(program) == (START_NS + SECOND + HOUR, START_NS + 3 * SECOND - HOUR, 3 * SECOND)


@pytest.mark.parametrize("drift", [-200, 0, 37])
def test_another_clock_drifts_and_keeps_its_own_wall_time(drift):
    async def program(loop):
        clock: Clock = SimClock(loop, drift_ppm=drift, offset_ns=5)
        loop.jump(HOUR)
        await loop.sleep_until(1_000 * SECOND)
        assert clock.time_ns() == START_NS + 5 + clock.monotonic_ns()
        return clock.monotonic_ns()

    assert simulate(program) == 1_000 * SECOND + drift * 1_000_000


@pytest.mark.parametrize("drift", [-200, 0, 37])
def test_another_clock_wakes_who_sleeps_by_its_own_time(drift):
    async def program(loop):
        clock = SimClock(loop, drift_ppm=drift)
        await clock.sleep_until(SECOND)
        first = clock.monotonic_ns()
        await clock.sleep_until(0)
        return first, loop.monotonic_ns()

    first, end = simulate(program)
    assert SECOND <= first < SECOND + 1_000
    assert end == pytest.approx(SECOND * (1 - drift / 1e6), abs=1_000)
