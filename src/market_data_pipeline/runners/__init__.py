"""Services that run several pipelines."""

from __future__ import annotations

from market_data_pipeline.runners.service import PipelineService, ServiceConfig

__all__ = ["PipelineService", "ServiceConfig"]
