"""The replay provider keeps the contract."""

import pytest

from market_data_pipeline.testing import PluginConformance, TickSourceConformance
from market_data_replay.capabilities import CAPABILITIES
from market_data_replay.provider import ReplayProvider
from market_data_replay.settings import ReplaySettings


class TestPlugin(PluginConformance):
    plugin = "replay"


class TestReplay(TickSourceConformance):
    capabilities = CAPABILITIES
    symbols = ("EURUSD",)

    @pytest.fixture
    def make_source(self, lean):
        path = lean(
            "forex/oanda/tick/eurusd/20140501_quote.zip", "".join(f"{time},1.1,1.2\n" for time in range(0, 40_000, 100))
        )
        return lambda request, services: ReplayProvider(ReplaySettings(path=path), services).stream(request)
