"""The provider keeps the contract."""

import pytest

from market_data_pipeline.testing import PluginConformance, TickSourceConformance
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
