"""The provider keeps the contract: over files of the earlier system's layout, and over our own."""

import pytest

from market_data_pipeline.contracts import StreamRequest
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


class TestNoHistory(HistoricalConformance):
    capabilities = CAPABILITIES

    @pytest.fixture
    def make_provider(self, tmp_path):
        return lambda services: ReplayProvider(ReplaySettings(path=tmp_path), services)


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
