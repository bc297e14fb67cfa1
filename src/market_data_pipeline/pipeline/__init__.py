"""Pipelines: what they are made of, how they are described, and how they run."""

from __future__ import annotations

from market_data_pipeline.pipeline.builder import PipelineBuilder, create_pipeline, parse_spec
from market_data_pipeline.pipeline.context import PipelineContext
from market_data_pipeline.pipeline.ledger import Ledger, SinkCounts, StageCounts
from market_data_pipeline.pipeline.overrides import PipelineOverrides
from market_data_pipeline.pipeline.spec import Component, PipelineSpec
from market_data_pipeline.pipeline.streaming import PipelineResult, PipelineStatus, StreamingPipeline

__all__ = [
    "Component",
    "Ledger",
    "PipelineBuilder",
    "PipelineContext",
    "PipelineOverrides",
    "PipelineResult",
    "PipelineSpec",
    "PipelineStatus",
    "SinkCounts",
    "StageCounts",
    "StreamingPipeline",
    "create_pipeline",
    "parse_spec",
]
