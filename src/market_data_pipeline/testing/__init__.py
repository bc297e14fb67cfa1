"""What tests of a pipeline and of its plugins need; importing it needs no test framework."""

from __future__ import annotations

from market_data_pipeline.testing.simloop import DeadlockError, SimLoop, simulate

__all__ = ["DeadlockError", "SimLoop", "simulate"]
