"""The border to foreign code: what hangs is abandoned, what fails is named, and looking at it changes nothing."""

from types import SimpleNamespace

import anyio
import anyio.lowlevel
import attrs
import pytest

from market_data_pipeline.errors import ConnectionLost, SourceBug, SourceTimeout
from market_data_pipeline.model import Origin, Trade
from market_data_pipeline.pipeline import StreamingPipeline
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.source.guard import bounded_close, bounded_start
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
