"""The row pump: it batches what is ready, and nothing starves."""

import anyio
import pytest

from market_data_pipeline.model import Origin, Quote, QuoteBatch, Trade, TradeBatch
from market_data_pipeline.source.pump import MAX_ROWS, RowPump, batched
from market_data_pipeline.testing import simulate

ONE, TWO = Origin("a", "a", 1, "live"), Origin("b", "b", 1, "live")


def quote(index, origin=ONE):
    return Quote("A", index, index, index, 0, origin, 1, 2, 1.0, 1.0)


def trade(index, origin=ONE):
    return Trade("A", index, index, index, 0, origin, 1, 1.0)


class Source:
    def __init__(self, stream):
        self.stream = stream


def sizes(stream, *, seed=0, pause=0):
    async def main(_):
        pump, found = RowPump(Source(stream)), []

        async def fill():
            await pump.fill()
            pump.end()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fill)
            while batches := await pump.take():
                found.append([len(batch) for batch in batches])
                await anyio.sleep(pause)
        return found

    return simulate(main, seed=seed)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_ready_without_waiting_is_one_batch(seed):
    async def stream():
        for burst in (3, 1, 5):
            for index in range(burst):
                yield quote(index)
            await anyio.sleep(1)

    assert sizes(stream, seed=seed) == [[3], [1], [5]]


def test_a_stream_that_never_waits_is_cut_and_starves_nobody():
    async def stream():
        for index in range(3 * MAX_ROWS + 1):
            yield quote(index)

    assert sizes(stream) == [[MAX_ROWS], [MAX_ROWS], [MAX_ROWS], [1]]


def test_a_source_is_held_back_by_a_slow_reader():
    given = []

    async def stream():
        for index in range(5 * MAX_ROWS):
            given.append(index)
            yield quote(index)

    async def main(_):
        pump = RowPump(Source(stream))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pump.fill)
            await anyio.sleep(1)
            before = len(given)
            await pump.take()
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        return before

    assert simulate(main) == MAX_ROWS
    assert len(given) == 2 * MAX_ROWS


def test_no_rows_end_at_once_and_again():
    async def stream():
        return
        yield

    async def main(_):
        pump = RowPump(Source(stream))
        await pump.fill()
        pump.end()
        return await pump.take(), await pump.take()

    assert simulate(main) == ([], [])


def test_rows_are_cut_into_batches_of_one_kind_and_origin_in_order():
    rows = [quote(1), quote(2), trade(3), quote(4, TWO), quote(5, TWO), quote(6)]
    batches = batched(rows)
    assert [type(batch) for batch in batches] == [QuoteBatch, TradeBatch, QuoteBatch, QuoteBatch]
    assert [batch.origin for batch in batches] == [ONE, ONE, TWO, ONE]
    assert [row for batch in batches for row in batch.rows] == rows
    assert [len(batch) for batch in batched([quote(1), quote(2, Origin("a", "a", 1, "live"))])] == [2]
