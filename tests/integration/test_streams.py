"""Streams of a runtime: quotes, trades and bars, with what happened in between, of symbols that may change."""

from functools import partial
from types import MappingProxyType

import anyio
import pytest

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.contracts import Capabilities, MarketDataProvider, SourceStatus
from market_data_pipeline.errors import (
    CapabilityNotSupported,
    ConfigurationError,
    PluginNotFound,
    SourceBug,
    SourceClosed,
    SourceTimeout,
    UnknownSymbol,
)
from market_data_pipeline.model import (
    Bar,
    BarBatch,
    Batch,
    Gap,
    Origin,
    Quote,
    QuoteBatch,
    SourceState,
    Trade,
    TradeBatch,
    Watermark,
)
from market_data_pipeline.plugins import PluginHost, ProviderSpec
from market_data_pipeline.source import ServiceFactory
from market_data_pipeline.testing import simulate

ORIGIN = Origin("acme", "acme", 1, "live")
SECOND = 1_000_000_000


class View:
    """Gives a row of each symbol ten times a second."""

    capabilities = Capabilities(kinds=frozenset({"quote", "trade"}))

    def __init__(self, request):
        self.symbols = request.symbols
        (self.kind,) = request.kinds

    async def start(self):
        await anyio.sleep(0.5)

    async def batches(self):
        ordinal = 0
        for turn in range(100):
            await anyio.sleep(0.1)
            batch = []
            for symbol in self.symbols:
                batch.append(self.row(symbol, turn * SECOND // 10, ordinal))
                ordinal += 1
            yield (QuoteBatch if self.kind == "quote" else TradeBatch)(batch)
            if turn == 5:
                yield SourceState(source="acme", ts=0, state="live")

    def row(self, symbol, ts, ordinal):
        if self.kind == "trade":
            return Trade(symbol, ts, ts, ordinal, 0, ORIGIN, SECOND, 1.0)
        return Quote(symbol, ts, ts, ordinal, 0, ORIGIN, SECOND, 2 * SECOND, 1.0, 1.0)

    async def status(self):
        return SourceStatus(connected=True)

    async def close(self):
        pass


class Changing(View):
    """Its symbols can change, but for one that it does not know, and one that takes for ever."""

    async def set_symbols(self, symbols):
        if "UNKNOWN" in symbols:
            raise UnknownSymbol("acme has no UNKNOWN")
        if "BUG" in symbols:
            raise KeyError("BUG")
        if "SLOW" in symbols:
            await anyio.sleep_forever()
        await anyio.sleep(0.01)
        self.symbols = tuple(symbols)


class Provider(MarketDataProvider):
    def __init__(self, view, *_):
        self.view = view

    async def start(self):
        pass

    def stream(self, request):
        return self.view(request)

    async def close(self):
        pass


SPECS = {
    "fixed": ProviderSpec(name="fixed", factory=partial(Provider, View), capabilities=View.capabilities),
    "changing": ProviderSpec(name="changing", factory=partial(Provider, Changing), capabilities=View.capabilities),
    "trades": ProviderSpec(
        name="trades", factory=partial(Provider, View), capabilities=Capabilities(kinds=frozenset({"trade"}))
    ),
    "nothing": ProviderSpec(name="nothing", factory=partial(Provider, View), capabilities=Capabilities()),
}


class Host(PluginHost):
    """Providers by the name of what they can do."""

    specs = MappingProxyType(SPECS)

    def provider_or_source(self, name):
        if name not in self.specs:
            raise PluginNotFound(f"no provider {name!r}", plugin=name)
        return self.specs[name]


def run(body, *, seed=0, **options):
    async def main(loop):
        async with PipelineRuntime(provider="changing", host=Host(path=[]), services=ServiceFactory(loop)) as runtime:
            return await body(runtime, **options)

    return simulate(main, seed=seed)


def test_items_are_batches_and_events_in_order():
    async def body(runtime):
        async with runtime.stream_quotes(["A", "B"]) as stream:
            return [item async for item in stream.items()]

    items = run(body)
    assert isinstance(items[6], SourceState)
    assert [len(item) for item in items if isinstance(item, Batch)] == [2] * 100


def test_rows_read_one_by_one_and_items_after_them_lose_nothing():
    async def body(runtime):
        async with runtime.stream_quotes(["A", "B", "C"]) as stream:
            first = await stream.next()
            rest = [item async for item in stream.items()]
            ledger = stream.ledger
        return [first, *(row for item in rest if isinstance(item, Batch) for row in item.rows)], ledger

    rows, ledger = run(body)
    assert [row.ordinal for row in rows] == list(range(300))
    assert (ledger.accepted, ledger.mismatches()) == (300, [])


def test_symbols_come_and_go_while_it_runs():
    async def body(runtime):
        seen = []
        async with runtime.stream_trades(["A"]) as stream:
            await stream.add(["A"])
            await stream.add(["B", "A", "B"])
            assert stream.symbols == ("A", "B")
            seen.append({(await stream.next()).symbol for _ in range(4)})
            await stream.remove(["A"])
            await anyio.sleep(0.2)
            while (await stream.next()).symbol == "A":
                pass
            rest = [row.symbol async for row in stream]
            return seen, set(rest), stream.symbols

    seen, rest, symbols = run(body)
    assert ({"A", "B"} in seen, symbols) == (True, ("B",))
    assert rest == {"B"}


@pytest.mark.parametrize(
    ("symbol", "error", "says"),
    [
        ("UNKNOWN", UnknownSymbol, "has no UNKNOWN"),
        ("BUG", SourceBug, "changing raised KeyError"),
        ("SLOW", SourceTimeout, "changing did not change its symbols within 30 s"),
    ],
)
def test_a_change_that_fails_changes_nothing(symbol, error, says):
    """RT-4."""

    async def body(runtime):
        async with runtime.stream_quotes(["A"]) as stream:
            with pytest.raises(error, match=says):
                await stream.add([symbol])
            return stream.symbols, (await stream.next()).symbol

    assert run(body) == (("A",), "A")


def test_mistakes_in_a_change_are_named():
    async def body(runtime):
        async with runtime.stream_quotes(["A"]) as stream:
            with pytest.raises(ConfigurationError, match="symbols is a list"):
                await stream.add("B")
            with pytest.raises(ConfigurationError, match="B is not among the symbols: A"):
                await stream.remove(["B"])
            with pytest.raises(ConfigurationError, match="close it instead"):
                await stream.remove(["A"])
        with pytest.raises(SourceClosed, match="open another stream"):
            await stream.add(["B"])
        async with runtime.stream_quotes(["A"], provider="fixed") as stream:
            with pytest.raises(CapabilityNotSupported, match="the symbols of fixed are fixed once it runs"):
                await stream.add(["B"])

    run(body)


@pytest.mark.parametrize("seed", range(40))
def test_changes_and_ends_at_any_moment_leave_nothing_behind_and_add_up(seed):
    """RT-2, L-1: streams whose readers add, remove, read, stop and are cancelled in any order."""

    async def reader(runtime, number):
        moment = (seed * 7 + number * 13) % 50 / 10
        with anyio.move_on_after(moment if number % 3 else None):
            async with runtime.stream_quotes(["A", "B"], on_full="drop_oldest") as stream:
                await stream.add([f"C{number}"])
                async for row in stream:
                    assert stream.ledger.mismatches() == []
                    if row.ordinal > number * 5:
                        break
                await stream.remove(["A"])
        assert stream.ledger.mismatches() == []
        assert stream.status.state == "ended"

    async def body(runtime):
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(reader, runtime, number)
        status = await runtime.status()
        return status.streams, status.providers

    assert run(body, seed=seed) == ((), ())


def test_a_slow_reader_loses_the_oldest_rows_and_is_told_so():
    """SP-5."""

    async def body(runtime):
        async with runtime.stream_quotes(["A"]) as stream:
            stream._feed.channel._max_rows = 10
            await anyio.sleep(8)
            items = [item async for item in stream.items()]
            return items, stream.ledger

    items, ledger = run(body)
    gaps = [item for item in items if isinstance(item, Gap)]
    assert sum(gap.rows for gap in gaps) == ledger.dropped.total() > 0
    assert ledger.mismatches() == []


@pytest.mark.parametrize("basis", ["trade", "mid"])
def test_bars_are_made_of_the_ticks(basis):
    async def body(runtime):
        async with runtime.stream_bars(["A", "B"], "2s", basis=basis, allowed_lateness_sec=0) as stream:
            items = [item async for item in stream.items()]
            return items, stream.ledger

    items, ledger = run(body)
    bars = [bar for item in items if isinstance(item, BarBatch) for bar in item.rows]
    assert [(bar.symbol, bar.start // SECOND) for bar in bars] == [(s, t) for t in range(0, 10, 2) for s in "AB"]
    assert {(bar.trades, bar.basis) for bar in bars} == {(20, basis)}
    assert any(isinstance(item, Watermark) for item in items)
    assert (ledger.received, ledger.accepted, ledger.mismatches()) == (10, 10, [])


def test_bars_follow_changed_symbols():
    async def body(runtime):
        async with runtime.stream_bars(["A"], "1s", allowed_lateness_sec=0) as stream:
            await anyio.sleep(3)
            await stream.add(["B"])
            return {bar.symbol async for bar in stream}

    assert run(body) == {"A", "B"}


def test_an_error_of_the_source_comes_behind_the_bars():
    class Broken(View):
        async def batches(self):
            for turn in range(30):
                yield TradeBatch([self.row("A", turn * SECOND // 10, turn)])
            raise SourceTimeout("no answer")

    async def body(runtime):
        spec = ProviderSpec(name="broken", factory=partial(Provider, Broken), capabilities=View.capabilities)
        runtime._builder.host.specs = SPECS | {"broken": spec}
        async with runtime.stream_bars(["A"], provider="broken", allowed_lateness_sec=0) as stream:
            await anyio.sleep(5)
            bars = [(await stream.next()).start // SECOND for _ in range(stream.ledger.queued)]
            with pytest.raises(SourceTimeout, match="no answer"):
                await stream.next()
            return bars, stream.status

    bars, status = run(body)
    assert bars[:2] == [0, 1]
    assert (status.state, status.error) == ("failed", "no answer")


def test_the_first_provider_that_is_installed_and_has_such_rows_is_taken():
    async def body(runtime):
        taken = []
        for names in ("trades", ["elsewhere", "nothing", "trades", "fixed"]):
            async with runtime.stream_trades(["A"], names) as stream:
                taken.append(stream.status.provider)
        with pytest.raises(PluginNotFound, match="elsewhere"):
            runtime.stream_quotes(["A"], ["elsewhere", "nothing"])
        with pytest.raises(CapabilityNotSupported, match="nothing has no quotes: it streams nothing"):
            runtime.stream_quotes(["A"], ["nothing", "trades"])
        with pytest.raises(ConfigurationError, match="source_priority: name at least one provider"):
            runtime.stream_quotes(["A"], [])
        return taken

    assert run(body) == ["trades", "trades"]


def test_a_shared_live_view_does_not_wait_for_its_reader():
    async def body(runtime):
        with pytest.raises(ConfigurationError, match="on_full: changing cannot wait for a slow reader"):
            runtime.stream_quotes(["A"], on_full="block")

    run(body)


def test_the_status_is_one_tree():
    """G-6."""

    async def body(runtime):
        async with runtime.stream_quotes(["A"]) as stream:
            await stream.next()
            status = await runtime.status()
            (one,) = status.streams
            (provider,) = status.providers
            assert (one.provider, one.kind, one.symbols, one.state) == ("changing", "quote", ("A",), "open")
            assert (provider.name, provider.users, provider.state) == ("changing", 1, "running")
            assert provider.since >= status.since
            plain = status.as_dict()
            assert plain["streams"][0]["ledger"]["accepted"] == 1
            return plain["state"]

    assert run(body) == "running"


def test_bars_are_rows_like_others():
    async def body(runtime):
        async with runtime.stream_bars(["A"]) as stream:
            return await stream.next()

    assert isinstance(run(body), Bar)
