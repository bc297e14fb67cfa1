"""When rows come, on a simulated clock."""

import asyncio

import anyio
import pytest

from market_data_pipeline.contracts import StreamRequest
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import simulate
from market_data_synthetic.provider import SyntheticProvider
from market_data_synthetic.settings import DEFAULT_START, SyntheticSettings

BOTH = ("quote", "trade")
SECOND = 10**9


@pytest.mark.parametrize("rate", [0.5, 10, 20_000])
def test_rows_in_real_time_come_within_five_milliseconds(run, rate):
    found = run(kinds=BOTH, rate=rate, count=5000)
    for batch, time in zip(found.batches, found.times, strict=True):
        for row in batch.rows:
            assert row.ts_recv == time
            assert row.flags == 0
            assert 0 <= time - row.ts_event <= 5_001_000


@pytest.mark.parametrize(("kinds", "delay"), [(["quote"], SECOND // 100), (BOTH, SECOND)])
@pytest.mark.parametrize("speed", [0.5, 1, 20])
def test_a_speed_divides_the_time_between_rows(run, kinds, delay, speed):
    found = run(kinds=kinds, start=DEFAULT_START, speed=speed, count=2000)
    for batch, time in zip(found.batches, found.times, strict=True):
        due = (batch.rows[-1].ts_event - DEFAULT_START) / speed
        assert -1000 <= time - found.began - due <= delay


def test_as_fast_as_possible_takes_no_time(run):
    found = run(kinds=BOTH, rate=1000, speed="max", count=100_000)
    assert found.times[-1] - found.began < 1_000_000


def test_without_rows_a_fast_run_lets_others_run():
    async def program(loop):
        settings = SyntheticSettings(speed="max", trades_per_quote=1e-9, rate=0.001)
        provider = SyntheticProvider(settings, ServiceFactory(loop).of("synthetic"))
        batches = provider.stream(StreamRequest(symbols=("A",), kinds=frozenset({"trade"}))).batches()
        with anyio.move_on_after(0) as scope:
            async for _ in batches:
                pass
        return scope.cancelled_caught

    assert simulate(program)


def test_a_source_that_is_closed_between_two_rows_does_not_wait_for_the_next():
    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(rate=0.001), ServiceFactory(loop).of("synthetic"))
        source = provider.stream(StreamRequest(symbols=("A",)))
        batches = source.batches()
        await anext(batches)
        await source.close()
        before = loop.monotonic_ns()
        return [item async for item in batches], loop.monotonic_ns() - before

    assert simulate(program) == ([], 0)


def test_a_source_that_is_closed_before_its_first_row_gives_none():
    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(rate=0.001), ServiceFactory(loop).of("synthetic"))
        source = provider.stream(StreamRequest(symbols=("A",)))
        batches = source.batches()
        await source.close()
        return [item async for item in batches], loop.monotonic_ns()

    assert simulate(program) == ([], 0)


def test_closing_the_provider_ends_a_source_that_waits():
    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(rate=0.001), ServiceFactory(loop).of("synthetic"))
        source = provider.stream(StreamRequest(symbols=("A",)))

        async def close_later():
            await asyncio.sleep(1)
            await provider.close()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close_later)
            items = [item async for item in source.batches()]
        return items, loop.monotonic_ns()

    items, now = simulate(program)
    assert not items
    assert now < 1.1 * SECOND
