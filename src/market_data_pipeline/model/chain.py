"""The answer to a question about options: the chain of one underlying."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from market_data_pipeline.model.option import OptionQuote, Right

if TYPE_CHECKING:
    import pyarrow as pa


@attrs.frozen(kw_only=True)
class OptionChain:
    """The listed options on one underlying, ordered by expiry, strike and right."""

    provider: str
    underlying: str
    rows: tuple[OptionQuote, ...] = attrs.field(repr=False)

    @property
    def expiries(self) -> tuple[str, ...]:
        """The expiries as YYYY-MM-DD, once each."""
        return tuple(dict.fromkeys(row.expiry for row in self.rows))

    @property
    def calls(self) -> OptionChain:
        """The calls alone."""
        return self.where(right="call")

    @property
    def puts(self) -> OptionChain:
        """The puts alone."""
        return self.where(right="put")

    def where(self, *, expiry: str | None = None, right: Right | None = None) -> OptionChain:
        """Return the chain of one expiry, of one right, or of both."""
        rows = (row for row in self.rows if expiry in {None, row.expiry} and right in {None, row.right})
        return attrs.evolve(self, rows=tuple(rows))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[OptionQuote]:
        return iter(self.rows)

    def to_arrow(self) -> pa.Table:
        """Return a table with a column for each field, prices as decimal128(18, 9)."""
        from market_data_pipeline.model.frames import chain_to_table

        return chain_to_table(self.rows)

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
