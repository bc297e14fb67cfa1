"""Tables as data frames, for people who have pandas or Polars: neither is a dependency."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any

from market_data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Tabular(ABC):
    """What can become a table."""

    __slots__ = ()

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """Return the rows as a table; prices are DECIMAL(18, 9)."""

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a frame of Arrow-backed columns, so that prices stay exact decimals.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        return self.to_arrow().to_pandas(types_mapper=_library("pandas").ArrowDtype)

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a frame; prices stay exact decimals.

        Raises:
            ConfigurationError: Polars is not installed.
        """
        frame: pl.DataFrame = _library("polars").from_arrow(self.to_arrow())
        return frame


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"{name} is not installed: run `pip install {name}`, or use to_arrow()") from error
