"""The hooks: what a plugin implements. Synchronous, called when a plugin is loaded, never while data flows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

import attrs
import pluggy

from market_data_pipeline.plugins.specs import ComponentSpec, ProviderSpec, SourceSpec, Spec

__all__ = ["API_VERSION", "HOOKS", "PROJECT", "HookContext", "PluginHooks", "hookimpl"]

API_VERSION: Final = "1.0"
"""The contract that this core has. Within a major it only grows."""

PROJECT: Final = "market_data"

hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a hook. Optional: every method or function whose name begins with `mdp_` is one."""


@attrs.frozen(kw_only=True)
class HookContext:
    """The one argument of every hook, matched by its name `context`; a hook may leave it out."""

    plugin: str
    """The entry-point name that the plugin is loaded under."""
    api: str = API_VERSION
    """The contract that the core has."""


class PluginHooks:
    """Every hook, typed: subclass it, override what the plugin offers, and name an instance as the entry point."""

    api: ClassVar[str] = "1.0"
    """The lowest contract that the plugin can work with."""

    def mdp_providers(self, context: HookContext) -> Iterable[ProviderSpec]:
        """Say which providers the plugin has.

        Called once, when the plugin is loaded: the first time that one of its names is asked for. An exception makes
        the plugin failed and is shown by `mdp plugins doctor`; other plugins go on.

        Returns:
            Specs; yield them, or return a list.

        Example::

            class Plugin(PluginHooks):
                def mdp_providers(self, context):
                    yield ProviderSpec(
                        name="acme",
                        factory="market_data_acme.provider:AcmeProvider",
                        settings="market_data_acme.settings:AcmeSettings",
                        capabilities=Capabilities(kinds=frozenset({"quote"}), unbounded=True),
                        identity=("api_key",),
                    )


            plugin = Plugin()
        """
        del context
        return ()

    def mdp_sources(self, context: HookContext) -> Iterable[SourceSpec]:
        """Say which sources the plugin has that need no shared provider.

        Called once, when the plugin is loaded, after `mdp_providers`. An exception makes the plugin failed and is
        shown by `mdp plugins doctor`; other plugins go on.

        Returns:
            Specs; yield them, or return a list.

        Example::

            class Plugin(PluginHooks):
                def mdp_sources(self, context):
                    yield SourceSpec(
                        name="acme-file",
                        factory="market_data_acme.file:AcmeFile",
                        capabilities=Capabilities(kinds=frozenset({"trade"}), pausable=True),
                    )


            plugin = Plugin()
        """
        del context
        return ()

    def mdp_components(self, context: HookContext) -> Iterable[ComponentSpec]:
        """Say which operators, batchers and sinks the plugin has.

        Called once, when the plugin is loaded, after `mdp_sources`. An exception makes the plugin failed and is shown
        by `mdp plugins doctor`; other plugins go on. A built-in's name is taken: the plugin fails with a conflict.

        Returns:
            Specs; yield them, or return a list.

        Example::

            class Plugin(PluginHooks):
                def mdp_components(self, context):
                    yield ComponentSpec(
                        kind="sink",
                        name="acme-db",
                        factory="market_data_acme.sink:AcmeSink",
                        settings="market_data_acme.settings:AcmeSinkSettings",
                        summary="Rows into an Acme database.",
                    )


            plugin = Plugin()
        """
        del context
        return ()


HOOKS: Final[dict[str, type[Spec]]] = {
    "mdp_providers": ProviderSpec,
    "mdp_sources": SourceSpec,
    "mdp_components": ComponentSpec,
}
"""Every hook, in the order of the calls, and what it returns."""
