"""The services that compose a runtime."""

from __future__ import annotations

from market_data_pipeline.breaking import CircuitBreaker, CircuitBreakerOpen
from market_data_pipeline.orchestration.coordinator import CooldownManager, RateCoordinator
from market_data_pipeline.orchestration.registry import SourceRegistry
from market_data_pipeline.orchestration.runtime import PipelineRuntime
from market_data_pipeline.orchestration.status import RuntimeStatus
from market_data_pipeline.orchestration.stream import StreamStatus, TickStream
from market_data_pipeline.orchestration.sync import SyncRuntime, SyncStream
from market_data_pipeline.settings import PipelineRuntimeSettings
from market_data_pipeline.source.tenant import working_for

__all__ = [
    "CircuitBreaker",
    "CircuitBreakerOpen",
    "CooldownManager",
    "PipelineRuntime",
    "PipelineRuntimeSettings",
    "RateCoordinator",
    "RuntimeStatus",
    "SourceRegistry",
    "StreamStatus",
    "SyncRuntime",
    "SyncStream",
    "TickStream",
    "working_for",
]
