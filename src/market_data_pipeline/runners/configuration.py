"""The settings that a runtime or service is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from market_data_pipeline.settings import PipelineRuntimeSettings, load_settings

Settings: TypeAlias = PipelineRuntimeSettings | Mapping[str, Any] | None


def settings_of(given: Settings) -> PipelineRuntimeSettings:
    """Return ready-made settings as they are; else those of environment and file, with what was given over them.

    Raises:
        ConfigurationError: A setting is wrong; one line for each mistake, with its place.
    """
    if isinstance(given, PipelineRuntimeSettings):
        return given
    return load_settings(overrides=given).settings
