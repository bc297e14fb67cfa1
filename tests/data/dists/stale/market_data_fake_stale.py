"""A healthy provider, beside which an update left the metadata of the version before."""

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import PluginHooks, ProviderSpec


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        yield ProviderSpec(name="stale", factory="market_data_fake_stale:Provider", capabilities=Capabilities())


plugin = Plugin()


class Provider:
    pass
