"""Judges: pure functions that tell what is wrong with data of a plugin."""

from __future__ import annotations

from market_data_pipeline.testing.judge.answers import judge_chain, judge_history
from market_data_pipeline.testing.judge.stream import judge_stream
from market_data_pipeline.testing.judge.violation import RULES, Violation, summary

__all__ = ["RULES", "Violation", "judge_chain", "judge_history", "judge_stream", "summary"]
