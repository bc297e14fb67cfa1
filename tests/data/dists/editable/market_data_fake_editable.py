"""A healthy provider, installed for editing by two tools, each of which left its metadata."""

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import PluginHooks, ProviderSpec


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        yield ProviderSpec(name="editable", factory="market_data_fake_editable:Provider", capabilities=Capabilities())


plugin = Plugin()


class Provider:
    pass
