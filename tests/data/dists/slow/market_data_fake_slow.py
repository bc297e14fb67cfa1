"""A healthy provider, whose import takes long where a test's timer says so."""

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import PluginHooks, ProviderSpec


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        yield ProviderSpec(name="slow", factory="market_data_fake_slow:Provider", capabilities=Capabilities())


plugin = Plugin()


class Provider:
    pass
