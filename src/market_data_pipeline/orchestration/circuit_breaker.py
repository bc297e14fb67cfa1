"""The circuit breaker, where earlier programs import it from."""

from __future__ import annotations

from market_data_pipeline.breaking import CircuitBreaker
from market_data_pipeline.errors import CircuitBreakerOpen

__all__ = ["CircuitBreaker", "CircuitBreakerOpen"]
