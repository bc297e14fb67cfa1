"""Operators: the stages that turn rows into other rows, as plain functions of what flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from market_data_pipeline.operator.bars import SecondBarAggregator
from market_data_pipeline.operator.base import BaseOperator
from market_data_pipeline.operator.event_time import EventTimePolicy

__all__ = ["BaseOperator", "EventTimePolicy", "SecondBarAggregator"]


if not TYPE_CHECKING:  # pragma: no branch - a checker must see misspelt names

    def __getattr__(name: str) -> NoReturn:
        if name == "OptionsChainOperator":
            raise ImportError(
                "there is no OptionsChainOperator: a chain is asked for, not made of a stream; "
                "use PipelineRuntime.get_options_chain, or stream the contracts by their symbols"
            )
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
