"""The replay provider keeps the contract."""

from market_data_pipeline.testing import PluginConformance


class TestPlugin(PluginConformance):
    plugin = "replay"
