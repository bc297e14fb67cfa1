"""The services that compose a runtime."""

from __future__ import annotations

from market_data_pipeline.orchestration.runtime import PipelineRuntime, RuntimeStatus
from market_data_pipeline.orchestration.stream import TickStream

__all__ = ["PipelineRuntime", "RuntimeStatus", "TickStream"]
