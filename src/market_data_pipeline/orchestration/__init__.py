"""The services that compose a runtime."""

from __future__ import annotations

from market_data_pipeline.orchestration.feed import StreamStatus
from market_data_pipeline.orchestration.registry import SourceRegistry
from market_data_pipeline.orchestration.runtime import PipelineRuntime
from market_data_pipeline.orchestration.status import PluginStatus, RuntimeStatus
from market_data_pipeline.orchestration.stream import TickStream

__all__ = ["PipelineRuntime", "PluginStatus", "RuntimeStatus", "SourceRegistry", "StreamStatus", "TickStream"]
