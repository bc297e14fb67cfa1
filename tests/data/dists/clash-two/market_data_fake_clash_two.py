"""Claims a name that another distribution claims too."""

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import PluginHooks, ProviderSpec


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        yield ProviderSpec(name="clash", factory="market_data_fake_clash_two:Provider", capabilities=Capabilities())


plugin = Plugin()
