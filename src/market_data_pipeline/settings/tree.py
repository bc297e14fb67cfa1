"""Everything that can be set, as one tree."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_serializer, model_validator

from market_data_pipeline.settings.coordination import CoordinationSettings
from market_data_pipeline.settings.directory import default_data_directory
from market_data_pipeline.settings.secrets import redacted
from market_data_pipeline.settings.section import Filled, Positive, Seconds, Section

NO_EFFECT_YET: Final = (
    "orchestration_enabled",
    "enable_routing",
)
"""Settings of earlier programs that are taken, and change nothing so far."""
QUIET: Final = "quiet"
"""The validation context of who only looks."""

_log = logging.getLogger("market_data_pipeline.settings")


class BatchSettings(Section):
    """When the batcher `hybrid` sends rows on; what is left out is as it says itself."""

    max_rows: Positive | None = Field(default=None, description="Rows at which they go on.")
    max_bytes: Positive | None = Field(default=None, description="Bytes in memory at which they go on.")
    flush_ms: Seconds | None = Field(default=None, description="The age of the oldest row at which they go on, in ms.")


class PipelineSettings(Section):
    """What holds for every pipeline whose spec does not say otherwise."""

    allowed_lateness_sec: float = Field(
        default=2.0, ge=0, le=86_400, description="How far a row may be behind the newest of its source."
    )
    on_full: Literal["block", "drop_oldest", "drop_newest", "conflate", "fail"] | None = Field(
        default=None,
        description="When the source is faster than the sink. Left out: block if it can wait, else drop_oldest.",
    )
    drain_timeout_sec: Seconds = Field(default=20.0, description="How long a graceful stop may take.")
    commit_sec: Seconds = Field(default=60.0, description="How often the sinks of a live source commit.")
    queue_rows: Positive = Field(default=100_000, description="How many rows wait between source and operators.")
    queue_bytes: Positive = Field(default=64 * 2**20, description="How many bytes wait between source and operators.")
    batch: Annotated[BatchSettings, Filled] = Field(default=BatchSettings(), description="When rows go on to the sink.")


class PluginSettings(Section):
    """Which installed plugins may be used, by entry point or distribution."""

    only: tuple[str, ...] = Field(default=(), description="These alone; none: all.")
    disabled: tuple[str, ...] = Field(default=(), description="Never these.")
    prefer: dict[str, str] = Field(
        default_factory=dict, description="Of two distributions that claim one name, by name the one to use."
    )
    required: tuple[str, ...] = Field(default=(), description="Those without which nothing starts.")
    strict: bool = Field(default=False, description="Any plugin that cannot be used stops the start.")


class PipelineRuntimeSettings(Section):
    """All settings of a runtime and of the command line."""

    version: Literal[1] = Field(default=1, description="The version of this format.")
    profile: str | None = Field(default=None, description="Which of the file's profiles lies over it.")
    data_dir: Path | None = Field(default=None, description="Where data is kept. Left out: the user's data directory.")
    provider: str | None = Field(default=None, description="Where streams come from unless they say otherwise.")
    providers: Annotated[dict[str, dict[str, Any]], Filled] = Field(
        default_factory=dict, repr=False, description="The settings of each provider or source, by its name."
    )
    plugins: Annotated[PluginSettings, Filled] = Field(
        default=PluginSettings(), description="Which plugins may be used."
    )
    pipeline: Annotated[PipelineSettings, Filled] = Field(
        default=PipelineSettings(), description="What holds for every pipeline whose spec does not say otherwise."
    )
    max_concurrent_pipelines: Positive = Field(default=10, description="How many pipelines may run at once.")
    orchestration_enabled: bool = Field(default=True, description="No effect yet.")
    enable_rate_coordination: bool = Field(
        default=True, description="False: no rule about requests is kept; leases are."
    )
    enable_routing: bool = Field(default=True, description="No effect yet.")
    circuit_breaker_threshold: Positive = Field(
        default=5, description="Failures in a row that open a breaker, unless coordination.breaker says otherwise."
    )
    circuit_breaker_timeout_sec: Seconds = Field(
        default=60.0,
        description="Seconds up to which a breaker's wait doubles, unless coordination.breaker says otherwise.",
    )
    coordination: Annotated[CoordinationSettings, Filled] = Field(
        default=CoordinationSettings(), description="What vendors allow, and what happens when they fail."
    )

    @property
    def data_directory(self) -> Path:
        """Where data is kept."""
        return default_data_directory() if self.data_dir is None else self.data_dir

    @field_serializer("providers", when_used="json")
    def _mask(self, providers: Mapping[str, Any]) -> Any:
        return redacted(None, providers)  # which of it is secret, the providers' own models know

    @model_validator(mode="after")
    def _say_what_has_no_effect(self, info: ValidationInfo) -> Self:
        if info.context != QUIET and (given := [name for name in NO_EFFECT_YET if name in self.model_fields_set]):
            _log.warning("these settings have no effect yet: %s", ", ".join(given))
        return self


def _flat(profile: PipelineRuntimeSettings) -> PipelineRuntimeSettings:
    if "profile" in profile.model_fields_set:
        raise ValueError("a profile cannot choose another one")
    return profile


class SettingsFile(PipelineRuntimeSettings):
    """What a settings file may say: all settings, and profiles of them."""

    profiles: Annotated[
        dict[str, Annotated[PipelineRuntimeSettings, Filled, AfterValidator(_flat)]],
        Filled,
    ] = Field(default_factory=dict, description="Settings that lie over those of the file when a profile is chosen.")
