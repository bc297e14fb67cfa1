"""Suites to subclass: whether a plugin keeps the contract. They need pytest."""

from __future__ import annotations

from market_data_pipeline.testing.conformance.history import HistoricalConformance
from market_data_pipeline.testing.conformance.operator import OperatorConformance
from market_data_pipeline.testing.conformance.options import OptionsConformance
from market_data_pipeline.testing.conformance.plugin import PluginConformance
from market_data_pipeline.testing.conformance.sink import SinkConformance
from market_data_pipeline.testing.conformance.source import TickSourceConformance

__all__ = [
    "HistoricalConformance",
    "OperatorConformance",
    "OptionsConformance",
    "PluginConformance",
    "SinkConformance",
    "TickSourceConformance",
]
