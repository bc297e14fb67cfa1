"""Vendors' limits: rules that count, a fair queue in front of them, and what refusals teach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


if not TYPE_CHECKING:  # a checker must see misspelt names

    def __getattr__(name: str) -> Any:
        if name != "SqliteStore":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from market_data_pipeline.pacing.sqlite_store import SqliteStore

        return SqliteStore
