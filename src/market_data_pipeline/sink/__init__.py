"""Sinks: where rows end up."""

from __future__ import annotations

from market_data_pipeline.sink.base import BaseSink
from market_data_pipeline.sink.console import ConsoleSink
from market_data_pipeline.sink.jsonl import JsonlSink
from market_data_pipeline.sink.memory import MemorySink
from market_data_pipeline.sink.parquet import ParquetSink
from market_data_pipeline.sink.store import StoreSink

__all__ = ["BaseSink", "ConsoleSink", "JsonlSink", "MemorySink", "ParquetSink", "StoreSink"]
