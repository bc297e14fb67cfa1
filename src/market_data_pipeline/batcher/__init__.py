"""Batchers: they group rows for the sinks."""

from __future__ import annotations

from market_data_pipeline.batcher.hybrid import DROP_POLICIES, DropPolicy, HybridBatcher

__all__ = ["DROP_POLICIES", "DropPolicy", "HybridBatcher"]
