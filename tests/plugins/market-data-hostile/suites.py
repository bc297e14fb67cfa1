"""Every suite over every misdeed: run by test_hostile.py in a process of its own, which expects most of it to fail."""

from typing import get_args

import pytest

from market_data_hostile.plugin import CAPABILITIES
from market_data_hostile.provider import HostileProvider
from market_data_hostile.settings import HostileSettings, Misdeed
from market_data_pipeline.testing import (
    HistoricalConformance,
    OptionsConformance,
    PluginConformance,
    TickSourceConformance,
)


class Hostile:
    capabilities = CAPABILITIES
    symbols = ("AAPL", "MSFT")
    virtual = True
    misdeed = "none"

    @pytest.fixture
    def make_provider(self):
        return lambda services: HostileProvider(HostileSettings(misdeed=self.misdeed), services)


class Installed(PluginConformance):
    distribution = "market-data-hostile"
    plugin = "hostile"


def suites(misdeed):
    for base in (TickSourceConformance, HistoricalConformance, OptionsConformance):
        yield type(f"Test_{misdeed}_{base.__name__}", (Hostile, base), {"misdeed": misdeed})
    yield type(f"Test_{misdeed}_PluginConformance", (Installed,), {"settings": {"misdeed": misdeed}})


for name in get_args(Misdeed):
    globals().update({suite.__name__: suite for suite in suites(name)})

busy = type("Test_works-at-import_PluginConformance", (Installed,), {"plugin": "hostile-import"})
globals()[busy.__name__] = busy
