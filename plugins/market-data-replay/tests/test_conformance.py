"""The provider keeps the contract, and recorded days break no rule."""

import pytest

from market_data_pipeline.contracts import BarsRequest, StreamRequest
from market_data_pipeline.testing import (
    HistoricalConformance,
    OptionsConformance,
    PluginConformance,
    TickSourceConformance,
    judge_stream,
)
from market_data_replay.capabilities import CAPABILITIES
from market_data_replay.provider import ReplayProvider
from market_data_replay.settings import ReplaySettings

DAY = 1_381_204_800_000_000_000
"""2013-10-08, midnight in New York."""
SECOND = 1_000_000_000


class TestLean(TickSourceConformance):
    capabilities = CAPABILITIES
    symbols = ("EURUSD", "GBPUSD")
    kinds = ("quote",)

    @pytest.fixture
    def make_provider(self, lean):
        for symbol in self.symbols:
            text = "".join(f"{at * 250},1.1{at % 10},1.1{at % 10 + 1}\n" for at in range(400))
            path = lean(f"forex/oanda/tick/{symbol.lower()}/20140501_quote.zip", text)
        folder = path.parents[1]
        return lambda services: ReplayProvider(ReplaySettings(path=folder), services)


class TestInstalled(PluginConformance):
    distribution = "market-data-replay"
    plugin = "replay"


class TestHistory(HistoricalConformance):
    capabilities = CAPABILITIES
    request = BarsRequest(symbol="SPY", start=DAY, end=DAY + 60 * SECOND, interval_ns=SECOND)

    @pytest.fixture
    def make_provider(self, lean):
        text = "".join(f"{at * 1000},10000,10010,9990,10000,100\n" for at in range(60))
        path = lean("equity/usa/second/spy/20131008_trade.zip", text)
        return lambda services: ReplayProvider(ReplaySettings(path=path.parents[1]), services)


class TestNoChain(OptionsConformance):
    capabilities = CAPABILITIES

    @pytest.fixture
    def make_provider(self, tmp_path):
        return lambda services: ReplayProvider(ReplaySettings(path=tmp_path), services)


@pytest.mark.parametrize(
    ("place", "kinds"),
    [
        ("forex/oanda/tick/eurusd/20140501_quote.zip", {"quote"}),
        ("equity/usa/tick/ibm/20131007_trade.zip", {"trade"}),
        ("equity/usa/minute", {"bar"}),
    ],
)
def test_recorded_days_break_no_rule(play, shared_data, place, kinds):
    items = play(shared_data / "lean" / place, kinds=kinds).items
    assert judge_stream(items, request=StreamRequest(kinds=frozenset(kinds)), capabilities=CAPABILITIES) == []
