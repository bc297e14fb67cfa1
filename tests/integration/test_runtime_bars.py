"""Streams of bars: what they are made of, and what a caller may say."""

import asyncio
from functools import partial
from math import nan

import anyio
import pytest

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.channel import Channel
from market_data_pipeline.contracts import Capabilities, MarketDataProvider
from market_data_pipeline.errors import CapabilityNotSupported, ChannelFull, ConfigurationError
from market_data_pipeline.model import Bar, BarBatch, Origin, Trade, TradeBatch
from market_data_pipeline.orchestration import feed
from market_data_pipeline.source import ServiceFactory
from market_data_pipeline.testing import simulate

SECOND = 10**9
ORIGIN = Origin("both", "both", 1, "live")


class Source:
    """Trades at 1, or bars at 2, whichever was asked for: one each second for ten seconds."""

    def __init__(self, request):
        self.symbols, (self.kind,) = request.symbols, request.kinds

    async def start(self):
        pass

    async def batches(self):
        for n in range(10):
            at = n * SECOND
            if self.kind == "trade":
                yield TradeBatch([Trade("A", at, at, n, 0, ORIGIN, SECOND, 1.0)])
            else:
                px, end = 2 * SECOND, at + SECOND
                yield BarBatch([Bar("A", end, end, n, 0, ORIGIN, at, end, px, px, px, px, 1.0, 2.0, 1)])

    async def close(self):
        pass


class Both(MarketDataProvider):
    capabilities = Capabilities(kinds=frozenset({"trade", "bar"}))

    def __init__(self, settings, services):
        pass

    def stream(self, request):
        return Source(request)


class BarsAlone(Both):
    capabilities = Capabilities(kinds=frozenset({"bar"}))


def run(body, provider=Both):
    async def main(loop):
        async with PipelineRuntime(services=ServiceFactory(loop)) as runtime:
            runtime.registry.register("acme", provider)
            return await body(runtime)

    return simulate(main)


@pytest.mark.parametrize(
    ("provider", "options", "close"),
    [(Both, {}, 1.0), (Both, {"from_bars": True}, 2.0), (BarsAlone, {}, 2.0), (BarsAlone, {"from_bars": True}, 2.0)],
)
def test_bars_are_made_of_ticks_where_there_are_any_and_of_bars_if_asked(provider, options, close):
    async def body(runtime):
        async with runtime.stream_bars(["A"], "5s", provider="acme", **options) as bars:
            return [(bar.start // SECOND, bar.end // SECOND, bar.close, bar.trades) async for bar in bars]

    assert run(body, provider) == [(0, 5, close, 5), (5, 10, close, 5)]


def test_what_has_no_bars_cannot_make_bars_of_them():
    class Trades(Both):
        capabilities = Capabilities(kinds=frozenset({"trade"}))

    async def body(runtime):
        with pytest.raises(CapabilityNotSupported, match="acme has no bars: it streams trade"):
            runtime.stream_bars(["A"], provider="acme", from_bars=True)

    run(body, Trades)


@pytest.mark.parametrize("way", ["stream_bars", "stream_trades"])
def test_a_source_that_cannot_pause_is_not_held_up(way):
    """SP-5."""

    async def body(runtime):
        with pytest.raises(ConfigurationError, match="acme cannot wait for a slow reader"):
            getattr(runtime, way)(["A"], provider="acme", on_full="block")

    run(body)


@pytest.mark.parametrize("seconds", [-1, 86_401, nan])
def test_a_lateness_out_of_range_is_a_clear_error(seconds):
    async def body(runtime):
        with pytest.raises(ConfigurationError, match="allowed_lateness_sec: is from 0 to 86,400 seconds"):
            runtime.stream_bars(["A"], provider="acme", allowed_lateness_sec=seconds)

    run(body)


def test_a_reader_who_may_not_lose_bars_is_told_that_he_was_too_slow(monkeypatch):
    """SP-5."""
    monkeypatch.setattr(feed, "Channel", partial(Channel, max_rows=5))

    async def body(runtime):
        async with runtime.stream_bars(["A"], "1s", provider="acme", allowed_lateness_sec=0, on_full="fail") as bars:
            await anyio.sleep(1)
            starts = [(await bars.next()).start // SECOND for _ in range(5)]
            with pytest.raises(ChannelFull):
                await bars.next()
            return starts, bars.status

    starts, status = run(body)
    assert (starts, status.state, "has no room" in status.error) == ([0, 1, 2, 3, 4], "failed", True)


@pytest.mark.parametrize(
    ("settings", "given", "late"),
    [
        ({}, {}, True),
        ({"pipeline": {"allowed_lateness_sec": 10}}, {}, False),
        ({"pipeline": {"allowed_lateness_sec": 10}}, {"allowed_lateness_sec": 0}, True),
    ],
)
def test_bars_wait_for_late_rows_as_the_settings_say(settings, given, late):
    """SP-7."""
    source = {"speed": "max", "start": "2026-11-23T14:30:00+00:00", "count": 2000, "fault_late": "3s/20"}

    async def main():
        async with (
            PipelineRuntime({"provider": "synthetic", "providers": {"synthetic": source}, **settings}) as runtime,
            runtime.stream_bars(["AAPL"], on_full="block", **given) as bars,
        ):
            return [bar.trades async for bar in bars]

    assert (sum(asyncio.run(main())) < 2000) == late
