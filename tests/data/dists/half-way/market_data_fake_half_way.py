"""Its hook raises behind a spec that it has yielded."""

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import PluginHooks, ProviderSpec


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        yield ProviderSpec(name="half-way", factory="market_data_fake_half_way:Provider", capabilities=Capabilities())
        raise OSError("the list of venues cannot be read")


plugin = Plugin()
