"""What the entry point names."""

from __future__ import annotations

from collections.abc import Iterable

from market_data_pipeline.plugins import HookContext, PluginHooks, ProviderSpec
from market_data_replay.capabilities import CAPABILITIES


class Plugin(PluginHooks):
    """The replay provider's spec."""

    api = "1.0"

    def mdp_providers(self, context: HookContext) -> Iterable[ProviderSpec]:
        """Yield the provider `replay`."""
        del context
        yield ProviderSpec(
            name="replay",
            factory="market_data_replay.provider:ReplayProvider",
            settings="market_data_replay.settings:ReplaySettings",
            capabilities=CAPABILITIES,
            summary="Recorded ticks and bars from Parquet, CSV, JSON Lines, Databento and Lean files.",
        )


plugin = Plugin()
