"""The hooks: what a plugin implements. Synchronous, and called by the control flow alone, never for a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

import attrs
import pluggy

from market_data_pipeline.plugins.lifecycle import LifecycleEvent
from market_data_pipeline.plugins.specs import CommandSpec, ComponentSpec, ProviderSpec, SourceSpec, Spec

__all__ = ["API_VERSION", "AT_LOAD", "HOOKS", "PROJECT", "RETURNS", "HookContext", "PluginHooks", "hookimpl"]

API_VERSION: Final = "1.0"
"""The contract that this core has. Within a major it only grows."""

PROJECT: Final = "market_data"

hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a hook. Optional: every method or function whose name begins with `mdp_` is one."""


@attrs.frozen(kw_only=True)
class HookContext:
    """The first argument of every hook, matched by its name `context`; a hook may leave it out."""

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

    def mdp_commands(self, context: HookContext) -> Iterable[CommandSpec]:
        """Say which commands the plugin adds to the command line.

        Called once, when `mdp NAME ...` is typed, NAME is the plugin's entry-point name and no built-in command has
        it; also by `mdp plugins info` and `mdp plugins doctor`. No other plugin is loaded for it. A single command
        that is called like the plugin is run as `mdp NAME`; any others as `mdp NAME COMMAND`. An exception makes the
        plugin failed, and is what the command ends with.

        Returns:
            Specs; yield them, or return a list.

        Example::

            class Plugin(PluginHooks):
                def mdp_commands(self, context):
                    yield CommandSpec(
                        name="login",
                        factory="market_data_acme.commands:login",
                        summary="Get a token from Acme.",
                    )


            plugin = Plugin()
        """
        del context
        return ()

    def mdp_event(self, context: HookContext, event: LifecycleEvent) -> None:
        """Hear of a change of state: of a plugin, provider, stream, pipeline or the runtime.

        Called in a thread of its own, after the fact, once for each event of a running `PipelineRuntime`, in their
        order and one at a time. Events wait in a queue of 1,000; when that is full the oldest is dropped. An exception
        is logged, once for each subject and state, and counted; other plugins and later events go on. A call that
        takes longer than 5 s is left behind, and the plugin hears nothing more. A plugin hears events once it is
        loaded; the setting `plugins.required` loads it at the start.

        Example::

            class Plugin(PluginHooks):
                def mdp_event(self, context, event):
                    if event.state == "failed":
                        print(f"{event.subject} {event.name} failed: {event.reason}")


            plugin = Plugin()
        """
        del context, event


RETURNS: Final[dict[str, type[Spec]]] = {
    "mdp_providers": ProviderSpec,
    "mdp_sources": SourceSpec,
    "mdp_components": ComponentSpec,
    "mdp_commands": CommandSpec,
}
"""The hooks that return specs, and which."""

HOOKS: Final = (*RETURNS, "mdp_event")
"""Every hook."""

AT_LOAD: Final = ("mdp_providers", "mdp_sources", "mdp_components")
"""The hooks that are called when a plugin is loaded, in their order."""
