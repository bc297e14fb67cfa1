"""The answer to a question about the past: bars of one symbol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from market_data_pipeline.model.batch import BarBatch
from market_data_pipeline.model.events import ControlEvent
from market_data_pipeline.model.rows import Bar, Basis

if TYPE_CHECKING:
    import pyarrow as pa


@attrs.frozen(kw_only=True)
class History:
    """Bars of one symbol, ordered by start: iterate over them, or take them as columns."""

    provider: str
    symbol: str
    interval_ns: int
    basis: Basis
    start: int
    """What was asked for, int ns: bars that start in [start, end)."""
    end: int
    batches: tuple[BarBatch, ...] = attrs.field(repr=False)
    events: tuple[ControlEvent, ...] = ()
    """What the provider said beside: a `Gap` where bars are missing."""

    @property
    def rows(self) -> tuple[Bar, ...]:
        """The bars as objects."""
        return tuple(self)

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def __iter__(self) -> Iterator[Bar]:
        return (bar for batch in self.batches for bar in batch.rows)

    def to_arrow(self) -> pa.Table:
        """Return a table with the columns of our files, prices as decimal128(18, 9)."""
        from market_data_pipeline.model.frames import batches_to_table

        return batches_to_table("bar", self.batches)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame on Arrow types, so that prices stay exact.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        from market_data_pipeline.model.frames import to_pandas

        return to_pandas(self.to_arrow())

    def to_polars(self) -> Any:
        """Return a polars DataFrame, prices as Decimal(18, 9).

        Raises:
            ConfigurationError: polars is not installed.
        """
        from market_data_pipeline.model.frames import to_polars

        return to_polars(self.to_arrow())
