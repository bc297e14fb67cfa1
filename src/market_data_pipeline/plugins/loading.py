"""Loading: from an entry point to its registration, under the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from importlib_metadata import EntryPoint

from market_data_pipeline.errors import PluginContractError, PluginLoadError
from market_data_pipeline.plugins.discovery import GROUP
from market_data_pipeline.plugins.guard import guard

if TYPE_CHECKING:
    from market_data_pipeline.plugins.registration import Registration

__all__ = ["load"]


def load(name: str, value: str) -> Registration:
    """Import what an entry point names, and register it.

    Specs and pluggy are imported here, so that a list of plugins costs neither.

    Returns:
        What it offers, and its hooks.

    Raises:
        PluginError: Its import fails, it breaks the contract, or it needs another version of it.
    """
    with guard("its import", PluginLoadError, plugin=name):
        target = EntryPoint(name=name, value=value, group=GROUP).load()

    from market_data_pipeline.plugins.registration import register

    with guard("its registration", PluginContractError, plugin=name):
        return register(target, plugin=name)
