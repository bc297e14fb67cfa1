"""Text files with a row a line and a mapping of their columns to ours: CSV and JSON Lines."""

from __future__ import annotations

from market_data_replay.formats.text.formats import CSV, JSONL

__all__ = ["CSV", "JSONL"]
