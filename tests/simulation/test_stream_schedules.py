"""Streams under many schedules: symbols that change, readers that leave, at any moment."""

import asyncio
import random
from contextlib import suppress

import anyio
import pytest

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.contracts import Capabilities, MarketDataProvider, SourceStatus
from market_data_pipeline.errors import ConfigurationError, SourceError
from market_data_pipeline.model import Batch, Gap, Origin, Trade, TradeBatch
from market_data_pipeline.source import ServiceFactory
from market_data_pipeline.testing import simulate

TRADES = Capabilities(kinds=frozenset({"trade"}))
ORIGIN = Origin("vendor", "vendor", 1, "live")
SYMBOLS = ["A", "B", "C", "D"]


class Vendor(MarketDataProvider):
    """Counts what is open; its sources change their symbols, which takes a while."""

    capabilities = TRADES
    open = 0

    def __init__(self, settings, services):
        self.ordinal = self.opened = 0

    async def start(self):
        await anyio.sleep(0.1)
        self.opened = 1
        Vendor.open += 1

    def stream(self, request):
        return View(self, request.symbols)

    async def close(self):
        Vendor.open -= self.opened
        self.opened = 0


class View:
    capabilities = TRADES

    def __init__(self, vendor, symbols):
        self.vendor, self.symbols, self.opened = vendor, symbols, 0

    async def start(self):
        await anyio.sleep(0.1)
        self.opened = 1
        Vendor.open += 1

    async def batches(self):
        while True:
            self.vendor.ordinal += 100
            first, symbols = self.vendor.ordinal, self.symbols
            yield TradeBatch(
                Trade(symbols[n % len(symbols)], n * 10**8, n * 10**8, n, 0, ORIGIN, 10**9, 1.0)
                for n in range(first, first + 100)
            )
            await anyio.sleep(0.1)

    async def set_symbols(self, symbols):
        await anyio.sleep(0.05)
        self.symbols = tuple(symbols)

    async def status(self):
        return SourceStatus(connected=True)

    async def close(self):
        Vendor.open -= self.opened
        self.opened = 0


async def read(runtime, rng):
    """Open a stream and read it for a while, by rows or by items; return it, and the rows and gaps that came."""
    open_stream = rng.choice([runtime.stream_trades, runtime.stream_bars])
    stream = open_stream(rng.sample(SYMBOLS, 2), provider="vendor")
    rows = lost = 0
    with anyio.move_on_after(rng.random() * 5):
        async with stream:
            if rng.random() < 0.5:
                async for _ in stream:
                    rows += 1
            async for item in stream.items():
                rows += len(item) if isinstance(item, Batch) else 0
                lost += (item.rows or 0) if isinstance(item, Gap) else 0
                assert stream.ledger.mismatches() == []
                await anyio.sleep(rng.random())
    return stream, rows, lost


async def change(runtime, rng):
    """Read a stream while another task changes its symbols, and leaves that off at any moment."""
    async with runtime.stream_trades(["A"], provider="vendor") as stream, anyio.create_task_group() as tasks:

        async def changes():
            for _ in range(10):
                act = rng.choice([stream.add, stream.remove])
                with anyio.move_on_after(rng.random() * 0.1):
                    with suppress(ConfigurationError, SourceError):
                        await act(rng.sample(SYMBOLS, 2))
                await anyio.sleep(rng.random() * 0.2)
            await stream.add(["D"])

        tasks.start_soon(changes)
        with anyio.move_on_after(4):
            async for row in stream:
                assert row.symbol in SYMBOLS
        tasks.cancel_scope.cancel()
    assert set(stream.symbols) <= set(SYMBOLS)
    assert stream.symbols
    return stream


@pytest.mark.parametrize("part", range(4))
def test_left_at_any_moment_nothing_stays_open_and_the_ledger_adds_up(part):
    """RT-2, L-1."""
    for seed in range(part * 10, part * 10 + 10):
        rng = random.Random(seed)
        Vendor.open = 0

        async def main(loop, rng=rng):
            streams = []
            async with PipelineRuntime(services=ServiceFactory(loop, seed=1)) as runtime:
                runtime.registry.register("vendor", Vendor)

                async def reader():
                    stream, rows, _ = await read(runtime, rng)
                    streams.append((stream, rows))

                async def changer():
                    streams.append((await change(runtime, rng), None))

                async with anyio.create_task_group() as tasks:
                    for _ in range(3):
                        tasks.start_soon(reader)
                    for _ in range(2):
                        tasks.start_soon(changer)
                await anyio.sleep(3)
                assert runtime.look().streams == runtime.look().providers == ()
            assert len(asyncio.all_tasks()) == 1
            return streams

        for stream, rows in simulate(main, seed=seed):
            assert stream.ledger.mismatches() == [], seed
            assert rows is None or rows == stream.ledger.accepted, seed
        assert Vendor.open == 0, seed


def test_what_a_slow_reader_loses_is_told_in_the_stream():
    """SP-5: rows that were read and rows that gaps tell of are all that came."""

    async def main(loop):
        async with PipelineRuntime(services=ServiceFactory(loop)) as runtime:
            runtime.registry.register("vendor", Vendor)
            stream = runtime.stream_trades(["A"], provider="vendor")
            await anyio.sleep(200)  # twice as much as the channel holds
            stream.stop()
            rows = lost = 0
            async for item in stream.items():
                rows += len(item) if isinstance(item, Batch) else 0
                lost += (item.rows or 0) if isinstance(item, Gap) else 0
            return rows, lost, stream.ledger

    rows, lost, ledger = simulate(main)
    assert (rows + lost, lost) == (ledger.received, ledger.dropped.total())
    assert lost > 0
