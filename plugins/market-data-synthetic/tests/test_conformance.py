"""The provider keeps the contract."""

import pytest

from market_data_pipeline.contracts import BarsRequest
from market_data_pipeline.testing import (
    HistoricalConformance,
    OptionsConformance,
    PluginConformance,
    TickSourceConformance,
)
from market_data_synthetic.capabilities import CAPABILITIES
from market_data_synthetic.provider import SyntheticProvider
from market_data_synthetic.settings import SyntheticSettings


class TestRepeatableRun(TickSourceConformance):
    capabilities = CAPABILITIES
    symbols = ("AAPL", "MSFT")
    virtual = True

    @pytest.fixture
    def make_provider(self):
        return lambda services: SyntheticProvider(SyntheticSettings(rate=200, speed=10, count=1500), services)


class TestRunFromNowOn(TickSourceConformance):
    capabilities = CAPABILITIES
    symbols = ("AAPL", "MSFT")
    virtual = True

    @pytest.fixture
    def make_provider(self):
        return lambda services: SyntheticProvider(SyntheticSettings(rate=200), services)


class TestRealTime(TickSourceConformance):
    capabilities = CAPABILITIES
    symbols = ("AAPL", "MSFT")
    kinds = ("quote",)

    @pytest.fixture
    def make_provider(self):
        return lambda services: SyntheticProvider(SyntheticSettings(rate=1000), services)


class TestInstalled(PluginConformance):
    distribution = "market-data-synthetic"
    plugin = "synthetic"


START = 1_704_205_800_000_000_000


class TestHistory(HistoricalConformance):
    capabilities = CAPABILITIES
    request = BarsRequest(symbol="AAPL", start=START, end=START + 60_000_000_000, interval_ns=1_000_000_000)
    virtual = True

    @pytest.fixture
    def make_provider(self):
        return lambda services: SyntheticProvider(SyntheticSettings(rate=100, speed="max"), services)


class TestChain(OptionsConformance):
    capabilities = CAPABILITIES
    virtual = True

    @pytest.fixture
    def make_provider(self):
        return lambda services: SyntheticProvider(SyntheticSettings(speed="max"), services)


class TestFaultsThatAreTold(TickSourceConformance):
    """Late rows that say so, rows that come twice, gaps and lost connections: the stream keeps its promises."""

    capabilities = CAPABILITIES
    symbols = ("AAPL", "MSFT")
    kinds = ("quote",)
    virtual = True
    tolerate = ("duplicate",)

    @pytest.fixture
    def make_provider(self):
        settings = SyntheticSettings(
            rate=200,
            speed="max",
            count=3000,
            fault_late="100ms/7",
            fault_duplicate=50,
            fault_gap="500ms/2s",
            fault_disconnect="300ms/1s",
        )
        return lambda services: SyntheticProvider(settings, services)
