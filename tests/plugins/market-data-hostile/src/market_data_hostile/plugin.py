"""The well-behaved entry point."""

from __future__ import annotations

from collections.abc import Iterable

from market_data_hostile.capabilities import CAPABILITIES
from market_data_pipeline.plugins import PluginHooks, ProviderSpec


class Plugin(PluginHooks):
    """A provider with a secret, named as the entry point."""

    def __init__(self, name: str = "hostile", settings: str = "HiddenSettings") -> None:
        self.name = name
        self.settings = settings

    def mdp_providers(self) -> Iterable[ProviderSpec]:
        """Yield the provider."""
        yield ProviderSpec(
            name=self.name,
            factory="market_data_hostile.provider:HostileProvider",
            settings=f"market_data_hostile.settings:{self.settings}",
            capabilities=CAPABILITIES,
        )


plugin = Plugin()
