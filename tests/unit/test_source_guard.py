"""The border to foreign code: what hangs is abandoned, what fails is named, and looking at it changes nothing."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import attrs
import pytest

from market_data_pipeline.errors import ConnectionLost, PluginContractError, SourceBug, SourceTimeout
from market_data_pipeline.model import Origin, Trade
from market_data_pipeline.pipeline import StreamingPipeline
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.source.guard import bounded_close, bounded_start, run_foreign
from market_data_pipeline.testing import simulate

ORIGIN = Origin("test", "test", 1, "live")


async def hang():
    await anyio.Event().wait()


def test_a_close_that_hangs_is_abandoned_after_two_seconds_and_named(caplog):
    """G-3."""

    async def main(loop):
        begin = loop.time()
        with anyio.move_on_after(1):  # a cancellation around it does not cut the cleanup short
            await bounded_close("acme", SimpleNamespace(close=hang))
        return loop.time() - begin

    assert simulate(main) == pytest.approx(2)
    assert "acme did not close within 2 s" in caplog.text


def test_a_close_that_fails_is_logged_and_not_raised(caplog):
    """G-3."""

    async def close():
        await anyio.lowlevel.checkpoint()
        raise KeyError("socket")

    simulate(lambda _: bounded_close("acme", SimpleNamespace(close=close)))
    assert "acme failed to close" in caplog.text


def test_a_start_that_hangs_is_a_timeout_with_its_name():
    with pytest.raises(SourceTimeout, match="acme did not start within 30 s"):
        simulate(lambda _: bounded_start("acme", SimpleNamespace(start=hang)))


@pytest.mark.parametrize(
    ("raised", "seen"), [(ConnectionLost("cut"), ConnectionLost), (KeyError("x"), SourceBug)], ids=["ours", "foreign"]
)
def test_only_errors_of_the_contract_get_through(raised, seen):
    """G-4."""

    async def start():
        await anyio.lowlevel.checkpoint()
        raise raised

    with pytest.raises(seen):
        simulate(lambda _: bounded_start("acme", SimpleNamespace(start=start)))


def test_status_changes_nothing():
    """G-6."""

    class Rows:
        symbols = ("A",)

        async def stream(self):
            for n in range(100):
                yield Trade("A", n, n, n, 0, ORIGIN, 1, 1.0)
                await anyio.sleep(1)

        async def close(self):
            pass

    async def main(_):
        pipeline = StreamingPipeline(source=Rows(), sink=MemorySink())
        looks = []

        async def seen():
            status = await pipeline.status()
            return attrs.astuple(attrs.evolve(status, ledger=status.ledger.as_dict()))

        async def look():
            for _ in range(3):
                looks.append(await seen() == await seen())
                await anyio.sleep(50)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            result = await pipeline.run()
        return looks, result

    looks, result = simulate(main)
    assert looks == [True, True, True]
    assert (result.ledger.received, result.ledger.mismatches()) == (100, [])


def test_code_that_ends_in_time_gives_its_result_and_its_error():
    async def answer():
        return 42

    async def fail():
        raise KeyError("x")

    assert simulate(lambda _: run_foreign("acme", answer, limit=1)) == 42
    with pytest.raises(KeyError):
        simulate(lambda _: run_foreign("acme", fail))


@pytest.mark.parametrize("limit", [None, 5])
def test_code_that_ignores_its_cancellation_is_left_behind_without_making_the_loop_spin(limit, caplog):
    """F28."""

    async def deaf():
        end = anyio.current_time() + 60
        while anyio.current_time() < end:
            with suppress(asyncio.CancelledError):
                await anyio.sleep(60)

    async def main(loop):
        with anyio.move_on_after(5), suppress(TimeoutError):
            await run_foreign("acme", deaf, limit=limit)
        seconds, ticks = loop.time(), loop.ticks
        await anyio.sleep(70)
        return seconds, ticks

    seconds, ticks = simulate(main)
    assert seconds == pytest.approx(7)
    assert ticks < 30
    assert "acme ignores its cancellation and was left behind after 2 s" in caplog.text


def test_the_cleanup_of_cancelled_code_may_await_and_what_it_raises_is_logged(caplog):
    """G-3."""
    seen = []

    async def work():
        try:
            await anyio.sleep_forever()
        finally:
            await anyio.sleep(1)
            seen.append("cleaned")
            raise OSError("socket")

    async def main(loop):
        with pytest.raises(TimeoutError):
            await run_foreign("acme", work, limit=3)
        return loop.time()

    assert (simulate(main), seen) == (pytest.approx(4), ["cleaned"])
    assert "acme failed while it was being stopped: socket" in caplog.text


def test_code_that_cancels_itself_or_exits_is_an_error_of_its_own():
    """F27, F28."""

    async def cancels():
        raise asyncio.CancelledError

    async def exits():
        raise SystemExit(3)

    with pytest.raises(PluginContractError, match="acme raised CancelledError, and nobody cancelled it"):
        simulate(lambda _: run_foreign("acme", cancels))
    with pytest.raises(PluginContractError, match=r"acme called sys.exit\(3\)"):
        simulate(lambda _: run_foreign("acme", exits))


@pytest.mark.parametrize("times", [1, 3])
def test_a_close_goes_on_whatever_happens_to_its_caller_who_is_cancelled_afterwards(times):
    """F30, G-3."""
    closed = []

    async def close():
        await anyio.sleep(1.5)
        closed.append(True)

    async def main(loop):
        task = asyncio.ensure_future(bounded_close("acme", SimpleNamespace(close=close)))
        for _ in range(times):
            await anyio.sleep(0.1)
            task.cancel()
        await asyncio.wait({task})
        return task.cancelled(), loop.time()

    assert (simulate(main), closed) == ((True, pytest.approx(1.5)), [True])


def test_a_close_that_ignores_its_cancellation_is_left_behind_even_if_the_caller_is_cancelled(caplog):
    """F28."""

    async def main(loop):
        task = asyncio.ensure_future(bounded_close("acme", SimpleNamespace(close=hang)))
        await anyio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled(), loop.time()

    assert simulate(main) == (True, pytest.approx(2))
    assert "acme did not close within 2 s and was left behind" in caplog.text


def test_what_has_no_start_is_started():
    simulate(lambda _: bounded_start("acme", object()))
