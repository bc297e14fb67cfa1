"""Suites to subclass: whether a plugin keeps the contract. They need pytest."""

from __future__ import annotations

from market_data_pipeline.testing.conformance.plugin import PluginConformance
from market_data_pipeline.testing.conformance.source import TickSourceConformance

__all__ = ["PluginConformance", "TickSourceConformance"]
