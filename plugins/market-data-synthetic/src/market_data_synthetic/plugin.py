"""What the entry point names."""

from __future__ import annotations

from collections.abc import Iterable

from market_data_pipeline.plugins import HookContext, PluginHooks, ProviderSpec
from market_data_synthetic.capabilities import CAPABILITIES


class Plugin(PluginHooks):
    """The synthetic provider's spec."""

    api = "1.0"

    def mdp_providers(self, context: HookContext) -> Iterable[ProviderSpec]:
        """Yield the provider `synthetic`."""
        del context
        yield ProviderSpec(
            name="synthetic",
            factory="market_data_synthetic.provider:SyntheticProvider",
            settings="market_data_synthetic.settings:SyntheticSettings",
            capabilities=CAPABILITIES,
            summary="Quotes, trades, bars and option chains computed from a seed; no account, no network.",
        )


plugin = Plugin()
