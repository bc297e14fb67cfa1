"""Vendors' limits: rules that count, a fair queue in front of them, and what refusals teach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from market_data_pipeline.laziness import lazy
from market_data_pipeline.pacing.cooldown import CooldownManager
from market_data_pipeline.pacing.grant import Grant
from market_data_pipeline.pacing.limiter import Limiter
from market_data_pipeline.pacing.pacer import Budget, Pacer
from market_data_pipeline.pacing.retries import RetryBudget
from market_data_pipeline.pacing.store import MemoryStore, Store
from market_data_pipeline.pacing.waiter import Waits

if TYPE_CHECKING:
    from market_data_pipeline.pacing.sqlite_store import SqliteStore

__all__ = [
    "Budget",
    "CooldownManager",
    "Grant",
    "Limiter",
    "MemoryStore",
    "Pacer",
    "RetryBudget",
    "SqliteStore",
    "Store",
    "Waits",
]


if not TYPE_CHECKING:  # pragma: no branch - a checker must see misspelt names
    __getattr__ = lazy(__name__, {"sqlite_store": ("SqliteStore",)})
