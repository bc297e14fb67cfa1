"""What holds between the parts: the protocols that plugins implement and the data they exchange with the core."""

from __future__ import annotations

from market_data_pipeline.contracts.bounds import LongRunRate, long_run
from market_data_pipeline.contracts.budget import SECOND_NS, AnyRule, Concurrency, Gcra, MinGap, Rule, Window
from market_data_pipeline.contracts.budget_check import BudgetFinding, PlannedCall, check_budget
from market_data_pipeline.contracts.capabilities import Capabilities
from market_data_pipeline.contracts.provider import BarsRequest, ChainRequest, MarketDataProvider
from market_data_pipeline.contracts.services import Clock, Services, VendorCalls
from market_data_pipeline.contracts.source import Dynamic, RowSource, SourceStatus, StreamRequest, TickSource
from market_data_pipeline.contracts.stages import Batcher, Operator, Outcome, Sink

__all__ = [
    "SECOND_NS",
    "AnyRule",
    "BarsRequest",
    "Batcher",
    "BudgetFinding",
    "Capabilities",
    "ChainRequest",
    "Clock",
    "Concurrency",
    "Dynamic",
    "Gcra",
    "LongRunRate",
    "MarketDataProvider",
    "MinGap",
    "Operator",
    "Outcome",
    "PlannedCall",
    "RowSource",
    "Rule",
    "Services",
    "Sink",
    "SourceStatus",
    "StreamRequest",
    "TickSource",
    "VendorCalls",
    "Window",
    "check_budget",
    "long_run",
]
