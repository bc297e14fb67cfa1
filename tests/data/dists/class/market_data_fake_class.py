"""Its entry point names the class, not an instance."""

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import PluginHooks, ProviderSpec


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        yield ProviderSpec(name="class", factory="market_data_fake_class:Provider", capabilities=Capabilities())


plugin = Plugin
