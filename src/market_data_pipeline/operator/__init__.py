"""Operators: the stages that turn rows into other rows, as plain functions of what flows."""

from __future__ import annotations

from market_data_pipeline.operator.bars import SecondBarAggregator
from market_data_pipeline.operator.base import BaseOperator

__all__ = ["BaseOperator", "SecondBarAggregator"]
