"""Circuit breakers: what fails is not called for a while, then a few calls try again."""

from __future__ import annotations

from market_data_pipeline.breaking.breaker import CircuitBreaker
from market_data_pipeline.breaking.events import BreakerEvent
from market_data_pipeline.breaking.permit import Permit
from market_data_pipeline.breaking.policy import BreakerPolicy
from market_data_pipeline.breaking.status import BreakerState, BreakerStatus
from market_data_pipeline.breaking.votes import Classify, Verdict, classify
from market_data_pipeline.errors import CircuitBreakerOpen

__all__ = [
    "BreakerEvent",
    "BreakerPolicy",
    "BreakerState",
    "BreakerStatus",
    "CircuitBreaker",
    "CircuitBreakerOpen",
    "Classify",
    "Permit",
    "Verdict",
    "classify",
]
