"""A healthy provider: what stands beside the broken ones."""

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import ComponentSpec, PluginHooks, ProviderSpec, SourceSpec


class Plugin(PluginHooks):
    def mdp_providers(self, context):
        yield ProviderSpec(name=context.plugin, factory="market_data_fake_good:Provider", capabilities=Capabilities())

    def mdp_sources(self):
        return [SourceSpec(name="good-file", factory="market_data_fake_good:Source", capabilities=Capabilities())]

    def mdp_components(self, context):
        yield ComponentSpec(kind="sink", name="good-db", factory="market_data_fake_good:Sink")


plugin = Plugin()


class Provider:
    """Offered; no test makes one."""


class Source:
    """Offered; no test makes one."""


class Sink:
    """Offered; no test makes one."""
