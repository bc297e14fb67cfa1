"""The synthetic provider keeps the contract."""

import pytest

from market_data_pipeline.testing import PluginConformance, TickSourceConformance
from market_data_synthetic.capabilities import CAPABILITIES
from market_data_synthetic.provider import SyntheticProvider
from market_data_synthetic.settings import SyntheticSettings


class TestPlugin(PluginConformance):
    plugin = "synthetic"


class TestRun(TickSourceConformance):
    capabilities = CAPABILITIES
    symbols = ("AAPL", "MSFT")

    @pytest.fixture
    def make_source(self):
        settings = SyntheticSettings(speed="max", rate=100, count=2_000)
        return lambda request, services: SyntheticProvider(settings, services).stream(request)
