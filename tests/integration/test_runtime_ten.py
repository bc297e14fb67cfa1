"""Ten pipelines on one provider: each one fails, waits and ends alone, and the provider connects once."""

import anyio
import pytest

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.contracts import Capabilities, MarketDataProvider, SourceStatus
from market_data_pipeline.errors import ConfigurationError, ConnectionLost
from market_data_pipeline.model import Origin, Trade, TradeBatch
from market_data_pipeline.pipeline import parse_spec
from market_data_pipeline.plugins import PluginHost, ProviderSpec
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.testing import simulate

ROWS, BATCH = 3_000, 100
TRADES = Capabilities(kinds=frozenset({"trade"}))
CALM = [f"calm{n}" for n in range(7)]


class Vendor(MarketDataProvider):
    """A live vendor: every source gets the same rows at the same pace, and cannot be told to wait."""

    capabilities = TRADES
    connected = 0
    closed = 0

    def __init__(self, settings, services):
        self.epoch = services.epoch()

    async def start(self):
        await anyio.sleep(1)
        Vendor.connected += 1

    def stream(self, request):
        return View(request.symbols, Origin("vendor", "vendor", self.epoch, "live"))

    async def close(self):
        Vendor.closed += 1


class View:
    capabilities = TRADES

    def __init__(self, symbols, origin):
        self.symbols, self.origin = symbols, origin

    async def start(self):
        pass

    async def batches(self):
        (symbol,) = self.symbols
        for first in range(0, ROWS, BATCH):
            if symbol == "CRASH" and first == 1_000:
                raise ConnectionLost("the line broke")
            numbers = range(first, first + BATCH)
            yield TradeBatch(Trade(symbol, n, n, n, 0, self.origin, 10**9, 1.0) for n in numbers)
            await anyio.sleep(0.1)

    async def status(self):
        return SourceStatus(connected=True)

    async def close(self):
        pass


class Host(PluginHost):
    """The built-in components, and the vendor."""

    def provider_or_source(self, name):
        return ProviderSpec(name="vendor", factory=Vendor, capabilities=TRADES)


def spec(name, symbol="A"):
    return parse_spec({"pipeline_id": name, "source": "vendor", "symbols": [symbol], "sink": "memory"})


@pytest.fixture
def sinks(monkeypatch):
    """Every sink by the name of its pipeline; that of "slow" takes a minute for each batch."""
    Vendor.connected = Vendor.closed = 0
    found = {}
    opened, written = MemorySink.open, MemorySink.write

    async def remember(self, pipeline):
        found[pipeline] = self
        return await opened(self, pipeline)

    async def write(self, item):
        if found["slow"] is self:
            await anyio.sleep(60)
        await written(self, item)

    monkeypatch.setattr(MemorySink, "open", remember)
    monkeypatch.setattr(MemorySink, "write", write)
    return found


@pytest.mark.parametrize("seed", range(10))
def test_one_slow_one_crashing_one_cancelled_and_the_others_lose_nothing(sinks, seed):
    """RT-1, L-1."""

    async def main(_):
        async with PipelineRuntime(host=Host(path=[])) as runtime:
            names = [("slow", "A"), ("crashing", "CRASH"), ("cancelled", "A"), *((name, "A") for name in CALM)]
            keys = [await runtime.run_pipeline(spec(*name)) for name in names]
            await anyio.sleep(2)
            (vendor,) = runtime.look().providers
            stopped = await runtime.stop_pipeline("default:cancelled")
            with pytest.raises(ConnectionLost, match="the line broke"):
                await runtime.wait_pipeline("default:crashing")
            results = {key: await runtime.wait_pipeline(key) for key in keys[3:]}
            assert await runtime.list_pipelines() == ["default:slow"]
            slow = await runtime.wait_pipeline("default:slow")
            return vendor, stopped, results, slow, runtime.look()

    vendor, stopped, results, slow, status = simulate(main, seed=seed)
    assert (vendor.users, vendor.state, Vendor.connected, Vendor.closed) == (10, "live", 1, 1)
    for name in CALM:
        ledger = results[f"default:{name}"].ledger
        assert (ledger.received, ledger.sinks[0].delivered, ledger.mismatches()) == (ROWS, ROWS, [])
        assert [row.ordinal for row in sinks[name].rows] == list(range(ROWS))
    assert (stopped.reason, stopped.undelivered, stopped.ledger.mismatches()) == ("stopped", 0, [])
    assert 0 < len(sinks["cancelled"].rows) == stopped.ledger.received < ROWS
    assert len(sinks["crashing"].rows) == 1_000
    assert (slow.reason, slow.ledger.received, slow.ledger.mismatches()) == ("end", ROWS, [])
    assert list(status.errors) == ["default:crashing"]
    assert [one.ledger.mismatches() for one in status.pipelines.values()] == [[]] * 10


def test_one_pipeline_too_many_is_refused_until_one_has_ended(sinks):
    """PS-2."""

    async def main(_):
        async with PipelineRuntime(host=Host(path=[]), max_concurrent_pipelines=2) as runtime:
            await runtime.run_pipeline(spec("slow"))
            await runtime.run_pipeline(spec("one"))
            with pytest.raises(ConfigurationError, match="max_concurrent_pipelines is 2"):
                await runtime.run_pipeline(spec("two"))
            await runtime.stop_pipeline("default:one")
            await runtime.run_pipeline(spec("two"))
            assert await runtime.service.list_pipelines() == ["default:slow", "default:two"]

    simulate(main)
