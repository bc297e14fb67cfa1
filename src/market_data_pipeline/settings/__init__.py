"""Settings: one tree, where its values come from, and how what a person writes is checked.

Everything here is imported on first use: the models need pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market_data_pipeline.laziness import lazy

if TYPE_CHECKING:
    from market_data_pipeline.settings.directory import data_directory
    from market_data_pipeline.settings.layers import Origin
    from market_data_pipeline.settings.loading import LoadedSettings, load_settings
    from market_data_pipeline.settings.policy import plugin_policy
    from market_data_pipeline.settings.tree import (
        BatchSettings,
        PipelineRuntimeSettings,
        PipelineSettings,
        PluginSettings,
    )
    from market_data_pipeline.settings.validation import validated

__all__ = [
    "BatchSettings",
    "LoadedSettings",
    "Origin",
    "PipelineRuntimeSettings",
    "PipelineSettings",
    "PluginSettings",
    "data_directory",
    "load_settings",
    "plugin_policy",
    "validated",
]

_MODULES: Final = {
    "directory": ("data_directory",),
    "layers": ("Origin",),
    "loading": ("LoadedSettings", "load_settings"),
    "policy": ("plugin_policy",),
    "tree": ("BatchSettings", "PipelineRuntimeSettings", "PipelineSettings", "PluginSettings"),
    "validation": ("validated",),
}


if not TYPE_CHECKING:  # pragma: no branch - a checker would take every misspelt name for one that exists
    __getattr__ = lazy(__name__, _MODULES)


def __dir__() -> list[str]:
    return __all__
