"""Its code is fine; its entry_points.txt is not."""

from market_data_pipeline.plugins import PluginHooks


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        return []


plugin = Plugin()
