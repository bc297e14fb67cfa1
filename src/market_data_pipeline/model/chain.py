"""An option chain, as a provider answered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import attrs

from market_data_pipeline.model.frames import Tabular
from market_data_pipeline.model.names import file_name, is_price
from market_data_pipeline.model.option import OptionQuote
from market_data_pipeline.model.price import to_decimal

if TYPE_CHECKING:
    import pyarrow as pa


@attrs.frozen(kw_only=True, eq=False)
class OptionChain(Tabular):
    """The listed contracts of an underlying, ordered by expiry, strike and right (the call first)."""

    underlying: str
    rows: tuple[OptionQuote, ...] = attrs.field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[OptionQuote]:
        return iter(self.rows)

    @property
    def expiries(self) -> tuple[str, ...]:
        """The expiries that there are, in order, as YYYY-MM-DD."""
        return tuple(sorted({row.expiry for row in self.rows}))

    @property
    def calls(self) -> OptionChain:
        """The calls alone."""
        return attrs.evolve(self, rows=tuple(row for row in self.rows if row.right == "call"))

    @property
    def puts(self) -> OptionChain:
        """The puts alone."""
        return attrs.evolve(self, rows=tuple(row for row in self.rows if row.right == "put"))

    def at(self, expiry: str) -> OptionChain:
        """Return the contracts of one expiry, YYYY-MM-DD."""
        return attrs.evolve(self, rows=tuple(row for row in self.rows if row.expiry == expiry))

    def to_arrow(self) -> pa.Table:
        """Return one row a contract: names as in our files, `expiry` as a date, prices as DECIMAL(18, 9).

        The price of the underlying is `underlying_price`.
        """
        import pyarrow as pa

        columns: dict[str, pa.Array[Any]] = {}
        for name, typed in OptionQuote.__annotations__.items():
            values = [getattr(row, name) for row in self.rows]
            if name == "origin":
                columns["provider"] = pa.array([origin.provider for origin in values], pa.string())
                columns["epoch"] = pa.array([origin.epoch for origin in values], pa.int64())
                columns["mode"] = pa.array([origin.mode for origin in values], pa.string())
            elif name == "expiry":
                columns[name] = pa.array(map(date.fromisoformat, values), pa.date32())
            elif is_price(name):
                decimals = [None if px is None else to_decimal(px) for px in values]
                column = "underlying_price" if name == "underlying_px" else file_name(name)
                columns[column] = pa.array(decimals, pa.decimal128(18, 9))
            else:
                number = pa.int64() if typed == "int" else pa.float64()
                columns[name] = pa.array(values, pa.string() if typed in {"str", "Right"} else number)
        return pa.table(columns)
