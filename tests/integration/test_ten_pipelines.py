"""Ten pipelines on one provider: one slow, one crashing, one cancelled; the others lose nothing."""

import anyio
import pytest

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.contracts import Capabilities, MarketDataProvider, Outcome, SourceStatus
from market_data_pipeline.errors import OperatorError
from market_data_pipeline.model import Origin, Quote, QuoteBatch
from market_data_pipeline.operator import BaseOperator
from market_data_pipeline.pipeline import parse_spec
from market_data_pipeline.plugins import ComponentSpec, PluginHost, ProviderSpec
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.source import ServiceFactory
from market_data_pipeline.testing import simulate

ROWS, SIZE = 2_000, 20
ORIGIN = Origin("shared", "shared", 1, "live")
CAPABILITIES = Capabilities(kinds=frozenset({"quote"}))


class Shared(MarketDataProvider):
    """One connection, whose views all see the same live quotes."""

    capabilities = CAPABILITIES
    connected = 0

    def __init__(self, *_):
        self.closed = 0

    async def start(self):
        Shared.connected += 1
        await anyio.sleep(1)

    def stream(self, request):
        return View(request.symbols)

    async def close(self):
        self.closed += 1


class View:
    capabilities = CAPABILITIES

    def __init__(self, symbols):
        self.symbols = symbols

    async def start(self):
        pass

    async def batches(self):
        for first in range(0, ROWS, SIZE):
            await anyio.sleep(0.01)
            yield QuoteBatch(Quote("A", n, n, n, 0, ORIGIN, 1, 2, 1.0, 1.0) for n in range(first, first + SIZE))

    async def status(self):
        return SourceStatus(connected=True)

    async def close(self):
        pass


class Crash(BaseOperator):
    """Fails half way."""

    def on_batch(self, batch):
        if batch.rows[0].ordinal >= ROWS // 2:
            raise OperatorError("half way")
        return Outcome(items=(batch,), passed=len(batch))


class Slow(MemorySink):
    """Takes ten times as long for a batch as the market does."""

    async def write(self, item):
        await anyio.sleep(0.1)
        await super().write(item)


class Host(PluginHost):
    """The built-in components, and the ones of this test."""

    def provider_or_source(self, name):
        return ProviderSpec(name=name, factory=Shared, capabilities=CAPABILITIES)

    def component(self, kind, name):
        mine = {"crash": Crash, "slow": Slow}.get(name)
        return ComponentSpec(kind=kind, name=name, factory=mine) if mine else super().component(kind, name)


@pytest.mark.parametrize("seed", range(10))
def test_one_slow_one_crashing_one_cancelled_and_the_others_lose_nothing(seed):
    """RT-1, L-1."""
    Shared.connected = 0

    def spec(name, **values):
        return parse_spec({"pipeline_id": name, "source": "shared", "symbols": ["A"], "sink": "memory", **values})

    async def main(loop):
        async with PipelineRuntime(host=Host(path=[]), services=ServiceFactory(loop)) as runtime:
            slow = await runtime.run_pipeline(spec("slow", sink="slow"))
            crash = await runtime.run_pipeline(spec("crash", operator="crash"))
            stopped = await runtime.run_pipeline(spec("stopped"))
            good = [await runtime.run_pipeline(spec(f"good-{number}")) for number in range(7)]
            await anyio.sleep(1.5)
            (provider,) = (await runtime.status()).providers
            assert (provider.users, provider.state) == (10, "running")
            cancelled = await runtime.stop_pipeline(stopped)
            with pytest.raises(OperatorError, match="half way"):
                await runtime.wait_pipeline(crash)
            results = [await runtime.wait_pipeline(key) for key in good]
            return cancelled, results, await runtime.wait_pipeline(slow)

    cancelled, results, slow = simulate(main, seed=seed)
    assert Shared.connected == 1
    assert [result.ledger.sinks[0].delivered for result in results] == [ROWS] * 7
    assert all(result.ledger.mismatches() == [] for result in (*results, slow, cancelled))
    assert 0 < cancelled.ledger.sinks[0].delivered == cancelled.ledger.received < ROWS
    assert slow.ledger.received == ROWS == slow.ledger.sinks[0].delivered + slow.ledger.dropped.total()
