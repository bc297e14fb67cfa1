"""Batchers: they group rows for the sinks."""

from __future__ import annotations

from market_data_pipeline.batcher.hybrid import HybridBatcher

__all__ = ["HybridBatcher"]
