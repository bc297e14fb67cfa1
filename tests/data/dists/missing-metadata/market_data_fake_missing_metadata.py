"""Its code is fine; its METADATA is missing."""

from market_data_pipeline.plugins import PluginHooks


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        return []


plugin = Plugin()
