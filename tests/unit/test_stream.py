"""The handle of one reader: rows in order, errors behind them, and a source that closes however it is left."""

import asyncio
import gc
import weakref

import anyio
import anyio.lowlevel
import pytest

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import SourceBug, SourceTimeout
from market_data_pipeline.model import Origin, Quote, QuoteBatch, SourceState, Trade, TradeBatch
from market_data_pipeline.orchestration.feed import Feed
from market_data_pipeline.orchestration.stream import TickStream
from market_data_pipeline.testing import simulate

ORIGIN = Origin("test", "test", 1, "live")


def quotes(*indices):
    return QuoteBatch(Quote("A", n, n, n, 0, ORIGIN, 1, 2, 1.0, 1.0) for n in indices)


class Source:
    symbols = ("A",)
    capabilities = Capabilities(kinds=frozenset({"quote"}), pausable=True)

    def __init__(self, *items, then=None, start=None):
        self.items, self.then, self.closed = items, then, 0
        if start is not None:
            self.start = start

    async def batches(self):
        for item in self.items:
            yield item
        if self.then == "wait":
            await anyio.sleep_forever()
        if self.then is not None:
            raise self.then

    async def close(self):
        self.closed += 1


def read(source, reader, *, policy="drop_oldest"):
    """Run a reader of a stream, and its feed beside it as the runtime does; return what the reader returns."""

    async def main(loop):
        feed = Feed(source, policy=policy, clock=loop)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed.run)
            return await reader(TickStream(feed, Quote))

    return simulate(main)


async def ordinals(stream):
    return [row.ordinal async for row in stream]


def test_rows_come_in_order_until_the_end_and_others_than_asked_for_do_not():
    trade = TradeBatch([Trade("A", 1, 1, 1, 0, ORIGIN, 1, 1.0)])
    event = SourceState(source="test", ts=1, state="live")
    source = Source(quotes(1, 2), trade, event, quotes(3))

    async def reader(stream):
        return await ordinals(stream), await ordinals(stream), stream.ledger

    first, again, ledger = read(source, reader)
    assert (first, again, source.closed) == ([1, 2, 3], [], 1)
    assert (ledger.received, ledger.accepted, ledger.mismatches()) == (4, 4, [])


@pytest.mark.parametrize("error", [SourceTimeout("no answer"), KeyError("x")])
def test_an_error_of_the_source_comes_behind_its_rows(error):
    source = Source(quotes(1, 2), then=error)

    async def reader(stream):
        rows = aiter(aiter(stream))
        seen = [(await anext(rows)).ordinal, (await anext(rows)).ordinal]
        with pytest.raises(SourceTimeout if isinstance(error, SourceTimeout) else SourceBug):
            await anext(rows)
        return seen

    assert (read(source, reader), source.closed) == ([1, 2], 1)


def test_an_error_while_it_opens_comes_at_the_first_row():
    async def refuse():
        raise SourceTimeout("no answer")

    source = Source(start=refuse)

    async def reader(stream):
        with pytest.raises(SourceTimeout, match="no answer"):
            await ordinals(stream)

    read(source, reader)
    assert source.closed == 1


def test_what_a_slow_reader_lost_is_in_the_ledger_which_adds_up_all_the_time():
    """L-1, SP-5."""

    class Fast(Source):
        async def batches(self):
            for n in range(400):
                yield quotes(*range(n * 1000, n * 1000 + 1000))
                if n % 10 == 0:
                    await anyio.sleep(1)

    async def reader(stream):
        count = 0
        async for _ in stream:
            if count % 10_000 == 0:
                assert stream.ledger.mismatches() == []
                await anyio.sleep(30)
            count += 1
        return count, stream.ledger

    count, ledger = read(Fast(), reader)
    assert (ledger.received, ledger.accepted, ledger.queued, ledger.mismatches()) == (400_000, count, 0, [])
    assert ledger.dropped["drop_oldest"] == 400_000 - count > 0


def test_leaving_the_context_waits_until_the_source_is_closed():
    """RT-2."""

    class Slow(Source):
        async def close(self):
            await anyio.sleep(1)
            self.closed += 1

    source = Slow(quotes(1), then="wait")

    async def reader(stream):
        with anyio.move_on_after(5):
            async with stream:
                await ordinals(stream)  # more never comes
        return source.closed, anyio.current_time()

    assert read(source, reader) == (1, pytest.approx(6))


def test_a_close_while_it_opens_ends_that():
    source = Source(start=anyio.sleep_forever)

    async def reader(stream):
        await anyio.sleep(1)
        await stream.aclose()
        await stream.aclose()
        return anyio.current_time()

    assert (read(source, reader), source.closed) == (pytest.approx(1), 1)


@pytest.mark.parametrize("way", ["before it is read", "after a break", "in a circle", "from a thread"])
def test_dropping_the_handle_closes_the_source(way):
    """RT-2, F30."""
    source = Source(quotes(1, 2, 3), then="wait")

    async def main(loop):
        feed = Feed(source, policy="block", clock=loop)
        stream = TickStream(feed, Quote)
        dropped = weakref.ref(stream)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed.run)
            if way == "after a break":
                async for _ in stream:
                    break
                assert not feed.closed.is_set()
                await feed.closed.wait()
                assert dropped() is stream
                return
            if way == "in a circle":
                circle = {"stream": stream}
                circle["circle"] = circle
                del circle
            if way == "from a thread":
                await asyncio.to_thread(stream.stop)
            else:
                del stream
            gc.collect()
            await feed.closed.wait()

    simulate(main)
    assert source.closed == 1


def test_dropping_it_when_the_loop_is_closed_does_nothing():
    kept = []

    async def main(loop):
        feed = Feed(Source(quotes(1)), policy="block", clock=loop)
        kept.append(TickStream(feed, Quote))
        await feed.run()

    simulate(main)
    kept.clear()


def test_the_iteration_lets_other_tasks_run_at_each_refill():
    """RT-2."""
    turns = []

    async def reader(stream):
        async def beside():
            while True:
                turns.append(True)
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beside)
            await ordinals(stream)
            tasks.cancel_scope.cancel()

    read(Source(*(quotes(n) for n in range(10))), reader)
    assert len(turns) > 1


def test_a_source_that_breaks_the_program_is_the_readers_error():
    """F27."""

    class Odd(Source):
        async def batches(self):
            raise BaseExceptionGroup("both", [KeyboardInterrupt()])
            yield

    async def reader(stream):
        with pytest.raises(SourceBug):
            await ordinals(stream)

    read(Odd(), reader)
