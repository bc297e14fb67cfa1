"""Sinks: where rows end up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from market_data_pipeline.sink.base import BaseSink
from market_data_pipeline.sink.console import ConsoleSink
from market_data_pipeline.sink.jsonl import JsonlSink
from market_data_pipeline.sink.memory import MemorySink
from market_data_pipeline.sink.parquet import ParquetSink
from market_data_pipeline.sink.store import StoreSink

__all__ = ["BaseSink", "ConsoleSink", "JsonlSink", "MemorySink", "ParquetSink", "StoreSink"]


if not TYPE_CHECKING:  # pragma: no branch - a checker must see misspelt names

    def __getattr__(name: str) -> NoReturn:
        if name in {"DatabaseSink", "DatabaseSinkSettings"}:
            raise ImportError(
                f"{name} comes with the PostgreSQL plugin, which there is not yet: use StoreSink or ParquetSink, whose "
                "files any database reads"
            )
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
