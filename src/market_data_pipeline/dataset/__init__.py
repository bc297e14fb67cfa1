"""The dataset: what the Parquet sinks wrote, to look at."""

from __future__ import annotations

from market_data_pipeline.dataset.folders import Folder, find_folders
from market_data_pipeline.dataset.query import BarQuery, Found
from market_data_pipeline.dataset.series import Series, find_series

__all__ = ["BarQuery", "Folder", "Found", "Series", "find_folders", "find_series"]
