"""A runtime under many schedules: a provider that fails, users that leave, a shutdown that is cut short."""

import asyncio
import random
from collections import Counter
from contextlib import suppress

import anyio
import pytest

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.contracts import Capabilities, MarketDataProvider, SourceStatus
from market_data_pipeline.errors import ConnectionLost, MarketDataError, ServerError
from market_data_pipeline.model import Instrument, Origin, Trade, TradeBatch
from market_data_pipeline.pipeline import parse_spec
from market_data_pipeline.source import ServiceFactory
from market_data_pipeline.testing import simulate

EVERYTHING = Capabilities(kinds=frozenset({"trade"}), resolve=True)
ORIGIN = Origin("vendor", "vendor", 1, "live")


class World:
    """What a vendor's side sees."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.open = Counter()
        self.most = 0

    async def connect(self, what, failing):
        self.open[what] += 1
        self.most = max(self.most, self.open["provider"])
        await anyio.sleep(self.rng.random())
        if self.rng.random() < failing:
            raise ConnectionLost("nobody there")

    async def disconnect(self, what):
        await anyio.sleep(self.rng.random())
        self.open[what] -= 1


class Vendor(MarketDataProvider):
    capabilities = EVERYTHING

    world: World
    is_closed = False

    def __init__(self, settings, services):
        pass

    async def start(self):
        await self.world.connect("provider", failing=0.3)

    async def resolve(self, symbol):
        await anyio.sleep(self.world.rng.random())
        return [Instrument(symbol=symbol)]

    def stream(self, request):
        return View(self.world, request.symbols)

    async def close(self):
        if not self.is_closed:
            self.is_closed = True
            await self.world.disconnect("provider")


class View:
    capabilities = EVERYTHING

    def __init__(self, world, symbols):
        self.world, self.symbols, self.is_open = world, symbols, False

    async def start(self):
        self.is_open = True
        await self.world.connect("view", failing=0.1)

    async def batches(self):
        for n in range(1_000):
            yield TradeBatch([Trade("A", n, n, n, 0, ORIGIN, 1, 1.0)])
            await anyio.sleep(0.1)
            if self.world.rng.random() < 0.02:
                raise ServerError("gone")

    async def status(self):
        return SourceStatus(connected=True)

    async def close(self):
        if self.is_open:
            self.is_open = False
            await self.world.disconnect("view")


async def use(runtime, rng, number):
    """Use a runtime again and again, for as long as it is there, and leave off at any moment."""
    for turn in range(5):
        with suppress(MarketDataError), anyio.move_on_after(rng.random() * 3):
            way = rng.choice(["stream", "ask", "pipeline"])
            if way == "stream":
                async with runtime.stream_trades(["A"]) as stream:
                    async for _ in stream:
                        assert stream.ledger.mismatches() == []
            elif way == "ask":
                await runtime.resolve("A")
            else:
                values = {"pipeline_id": f"{number}-{turn}", "source": "vendor", "symbols": ["A"], "sink": "memory"}
                key = await runtime.run_pipeline(parse_spec(values))
                await rng.choice([runtime.wait_pipeline, runtime.stop_pipeline, runtime.service.delete_pipeline])(key)
        await anyio.sleep(rng.random())


@pytest.mark.parametrize("part", range(4))
def test_however_and_whenever_it_is_shut_down_nobody_waits_and_nothing_stays_open(part):
    """RT-1, RT-2: and there is never more than one connection."""
    for seed in range(part * 10, part * 10 + 10):
        rng, world = random.Random(seed), World(seed)

        async def main(loop, rng=rng, world=world):
            runtime = PipelineRuntime({"provider": "vendor"}, services=ServiceFactory(loop, seed=1))
            runtime.registry.register("vendor", type("OfWorld", (Vendor,), {"world": world}))
            await runtime.initialize()
            users = [asyncio.create_task(use(runtime, rng, number)) for number in range(rng.randint(1, 4))]
            await anyio.sleep(rng.random() * 12)
            leaving = asyncio.create_task(runtime.shutdown())
            await anyio.sleep(rng.random() * 0.5)
            if rng.random() < 0.5:
                leaving.cancel()
            await asyncio.wait([leaving, *users])
            await anyio.sleep(5)
            assert {user.exception() for user in users} == {None}
            assert await runtime.list_pipelines() == []
            assert len(asyncio.all_tasks()) == 1
            return runtime.look()

        look = simulate(main, seed=seed)
        assert (look.state, look.streams, look.providers) == ("closed", (), ()), seed
        assert {pipeline.state for pipeline in look.pipelines.values()} <= {"done", "failed"}, seed
        assert all(pipeline.ledger.mismatches() == [] for pipeline in look.pipelines.values()), seed
        assert (world.open.total(), world.most <= 1) == (0, True), seed
