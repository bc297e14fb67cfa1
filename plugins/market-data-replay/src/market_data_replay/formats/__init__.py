"""The formats of files, by name."""

from __future__ import annotations

from market_data_replay.formats.contract import Format
from market_data_replay.formats.dbn import DBN
from market_data_replay.formats.lean import LEAN
from market_data_replay.formats.parquet import PARQUET
from market_data_replay.formats.text import CSV, JSONL

FORMATS: dict[str, Format] = {"parquet": PARQUET, "lean": LEAN, "csv": CSV, "jsonl": JSONL, "dbn": DBN}

__all__ = ["FORMATS"]
