"""The settings of programs for the earlier system, all in one object, and what each of them is in a spec today."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from market_data_pipeline.batcher import DROP_POLICIES, DropPolicy
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import format_interval

_BATCH_ROWS: Final = 500
"""`max_rows` of the batcher `hybrid`, unless set."""

_log = logging.getLogger("market_data_pipeline.pipeline")


class Stage(NamedTuple):
    """A component by the stage where it stands and its name."""

    kind: Literal["source", "operator", "batcher", "sink"]
    name: str


_SETTINGS: Final[Mapping[str, tuple[Stage, str]]] = {
    "ticks_per_sec": (Stage("source", "synthetic"), "rate"),
    "replay_path": (Stage("source", "replay"), "path"),
    "replay_speed": (Stage("source", "replay"), "speed"),
    "bar_window_sec": (Stage("operator", "bars"), "interval"),
    "batch_size": (Stage("batcher", "hybrid"), "max_rows"),
    "max_bytes": (Stage("batcher", "hybrid"), "max_bytes"),
    "flush_ms": (Stage("batcher", "hybrid"), "flush_ms"),
    "kafka_bootstrap": (Stage("sink", "kafka"), "bootstrap"),
    "kafka_topic": (Stage("sink", "kafka"), "topic"),
}
"""Of which component an override is which setting."""

_NO_EFFECT: Final = {
    "pacing_max_per_sec": "a pipeline takes what its source gives; slow it with ticks_per_sec or replay_speed",
    "pacing_burst": "a pipeline takes what its source gives; slow it with ticks_per_sec or replay_speed",
    "sink_workers": "one task writes to each sink, so that rows keep their order",
    "sink_queue_max": "there is one queue, before the operators; bound it with op_queue_max",
}


class PipelineOverrides(BaseModel):
    """What a pipeline does differently from the defaults, under the names of the earlier system.

    A spec takes them and keeps none: each becomes the setting of a component, or a field of the spec itself.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    ticks_per_sec: float | None = Field(default=None, gt=0, description="`rate` of the source `synthetic`.")
    pacing_max_per_sec: float | None = Field(default=None, gt=0, description="Has no effect, and a warning says so.")
    pacing_burst: int | None = Field(default=None, gt=0, description="Has no effect, and a warning says so.")
    replay_path: str | None = Field(default=None, min_length=1, description="`path` of the source `replay`.")
    replay_speed: Literal["max"] | float | None = Field(default=None, description="`speed` of the source `replay`.")
    bar_window_sec: float | None = Field(default=None, ge=1, description="`interval` of the operator `bars`.")
    bar_allowed_lateness_sec: float | None = Field(
        default=None, ge=0, le=86_400, description="`allowed_lateness_sec` of the spec."
    )
    batch_size: int | None = Field(default=None, gt=0, description="`max_rows` of the batcher `hybrid`.")
    max_bytes: int | None = Field(default=None, gt=0, description="`max_bytes` of the batcher `hybrid`.")
    flush_ms: float | None = Field(default=None, gt=0, description="`flush_ms` of the batcher `hybrid`.")
    op_queue_max: int | None = Field(
        default=None,
        gt=0,
        description="`queue_rows` of the spec: so many batches of `batch_size` rows, or else of 500.",
    )
    drop_policy: DropPolicy | None = Field(default=None, description="`on_full` of the spec.")
    sink_workers: int | None = Field(default=None, gt=0, description="Has no effect, and a warning says so.")
    sink_queue_max: int | None = Field(default=None, gt=0, description="Has no effect, and a warning says so.")
    kafka_bootstrap: str | None = Field(default=None, description="`bootstrap` of the sink `kafka`, of a plugin.")
    kafka_topic: str | None = Field(default=None, description="`topic` of the sink `kafka`, of a plugin.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_database(cls, values: Any) -> Any:
        for name in values if isinstance(values, Mapping) else ():
            if str(name).startswith("database_"):
                raise ConfigurationError(
                    "the database sink comes with the PostgreSQL plugin, which there is not yet: leave this out, and "
                    "write to the sink 'store' or 'parquet'",
                    where=str(name),
                )
        return values

    def settings(self) -> Iterator[tuple[str, Stage, str, Any]]:
        """Yield what becomes the setting of a component: override, component, setting, value."""
        for override, (stage, setting) in _SETTINGS.items():
            if (value := getattr(self, override)) is not None:
                yield override, stage, setting, format_interval(round(value * 1e9)) if setting == "interval" else value

    def fields(self) -> dict[str, Any]:
        """Return what becomes a field of the spec; what has no effect is a warning in the log."""
        for override, reason in _NO_EFFECT.items():
            if getattr(self, override) is not None:
                _log.warning("overrides.%s has no effect: %s", override, reason)
        values = {
            "allowed_lateness_sec": self.bar_allowed_lateness_sec,
            "on_full": self.drop_policy and DROP_POLICIES[self.drop_policy],
            "queue_rows": self.op_queue_max and self.op_queue_max * (self.batch_size or _BATCH_ROWS),
        }
        return {name: value for name, value in values.items() if value is not None}
