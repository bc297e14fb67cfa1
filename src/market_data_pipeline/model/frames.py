"""Arrow tables as data frames, for people who have pandas or Polars: neither is a dependency."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from market_data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a table as a frame of Arrow-backed columns, so that prices stay exact decimals.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    return table.to_pandas(types_mapper=_library("pandas").ArrowDtype)


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Return a table as a Polars frame; prices stay exact decimals.

    Raises:
        ConfigurationError: Polars is not installed.
    """
    frame: pl.DataFrame = _library("polars").from_arrow(table)
    return frame


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"{name} is not installed: run `pip install {name}`, or use to_arrow()") from error
