"""Needs a contract that this core does not have."""

from market_data_pipeline.plugins import PluginHooks


class Plugin(PluginHooks):
    api = "1.99"

    def mdp_providers(self, context):
        return []


plugin = Plugin()
