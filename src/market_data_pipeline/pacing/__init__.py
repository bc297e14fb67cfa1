"""Vendors' limits: rules that count, a fair queue in front of them, and what refusals teach."""

from __future__ import annotations

from market_data_pipeline.pacing.grant import Grant
from market_data_pipeline.pacing.limiter import Limiter
from market_data_pipeline.pacing.store import MemoryStore, Store
from market_data_pipeline.pacing.waiter import Waits

__all__ = ["Grant", "Limiter", "MemoryStore", "Store", "Waits"]
