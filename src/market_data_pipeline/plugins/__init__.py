"""Plugins: what an author implements, and the host that finds and loads it.

Everything here is imported on first use, so that listing plugins imports neither pluggy nor the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market_data_pipeline.laziness import lazy

if TYPE_CHECKING:
    from market_data_pipeline.plugins.diagnosis import Diagnosis, Finding, diagnose
    from market_data_pipeline.plugins.discovery import GROUP
    from market_data_pipeline.plugins.events import HookEvents
    from market_data_pipeline.plugins.hookspecs import API_VERSION, HookContext, PluginHooks, hookimpl
    from market_data_pipeline.plugins.host import PluginHost
    from market_data_pipeline.plugins.lifecycle import LifecycleEvent, LifecycleState, Subject
    from market_data_pipeline.plugins.policy import PluginPolicy
    from market_data_pipeline.plugins.record import PluginRecord
    from market_data_pipeline.plugins.specs import (
        AnySpec,
        CommandSpec,
        ComponentKind,
        ComponentSpec,
        Lazy,
        ProviderSpec,
        SourceSpec,
        Spec,
    )

__all__ = [
    "API_VERSION",
    "GROUP",
    "AnySpec",
    "CommandSpec",
    "ComponentKind",
    "ComponentSpec",
    "Diagnosis",
    "Finding",
    "HookContext",
    "HookEvents",
    "Lazy",
    "LifecycleEvent",
    "LifecycleState",
    "PluginHooks",
    "PluginHost",
    "PluginPolicy",
    "PluginRecord",
    "ProviderSpec",
    "SourceSpec",
    "Spec",
    "Subject",
    "diagnose",
    "hookimpl",
]

_MODULES: Final = {
    "discovery": ("GROUP",),
    "diagnosis": ("Diagnosis", "Finding", "diagnose"),
    "events": ("HookEvents",),
    "hookspecs": ("API_VERSION", "HookContext", "PluginHooks", "hookimpl"),
    "host": ("PluginHost",),
    "lifecycle": ("LifecycleEvent", "LifecycleState", "Subject"),
    "policy": ("PluginPolicy",),
    "record": ("PluginRecord",),
    "specs": ("AnySpec", "CommandSpec", "ComponentKind", "ComponentSpec", "Lazy", "ProviderSpec", "SourceSpec", "Spec"),
}


if not TYPE_CHECKING:  # pragma: no branch - a checker would take every misspelt name for one that exists
    __getattr__ = lazy(__name__, _MODULES)


def __dir__() -> list[str]:
    return __all__
