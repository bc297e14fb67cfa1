"""What the entry point names."""

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import PluginHooks, ProviderSpec

CAPABILITIES = Capabilities(kinds=frozenset({"quote"}), unbounded=True)


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        yield ProviderSpec(
            name=context.plugin,
            factory="market_data_hostile.provider:HostileProvider",
            settings="market_data_hostile.settings:HostileSettings",
            capabilities=CAPABILITIES,
        )


plugin = Plugin()
