"""Loading: from an entry point to its registration, under the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from importlib_metadata import EntryPoint

from market_data_pipeline.errors import PluginContractError, PluginLoadError
from market_data_pipeline.plugins.discovery import GROUP
from market_data_pipeline.plugins.guard import guard

if TYPE_CHECKING:
    from market_data_pipeline.plugins.registration import Registration

__all__ = ["load"]

_GONE: Final = "its own code is not where its metadata says: install it again"


def load(name: str, value: str) -> Registration:
    """Import what an entry point names, and register it.

    Specs and pluggy are imported here, so that a list of plugins costs neither.

    Returns:
        What it offers, and its hooks.

    Raises:
        PluginError: Its import fails, it breaks the contract, or it needs another version of it.
    """
    target = _import(EntryPoint(name=name, value=value, group=GROUP))

    from market_data_pipeline.plugins.registration import register

    with guard("its registration", PluginContractError, plugin=name):
        return register(target, plugin=name)


def _import(entry: EntryPoint) -> object:
    try:
        with guard("its import", PluginLoadError, plugin=entry.name):
            return entry.load()
    except PluginLoadError as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and f"{entry.module}.".startswith(f"{missing.name}."):
            raise PluginLoadError(error.cause, plugin=entry.name, cure=_GONE) from missing
        raise
