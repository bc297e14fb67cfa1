"""The settings of the batchers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field


class HybridBatcherSettings(BaseModel):
    """When rows go on to the sink; the first threshold that is reached counts."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    max_rows: int = Field(default=500, gt=0, description="Rows at which they go on.")
    max_bytes: int = Field(default=512_000, gt=0, description="Bytes in memory at which they go on.")
    flush_ms: float = Field(default=100, gt=0, description="The age of the oldest row at which they go on, in ms.")
