"""What keeps pipelines running: a supervisor, and the service that holds many of them."""

from __future__ import annotations

from market_data_pipeline.runners.service import PipelineService
from market_data_pipeline.runners.supervisor import Supervisor

__all__ = ["PipelineService", "Supervisor"]
