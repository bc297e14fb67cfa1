"""Results as data frames: one Arrow table, in the types that every reader of Arrow has, and what is made of it.

Imported on first use: it needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, get_type_hints

import pyarrow as pa

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model.arrow import schema, to_arrow
from market_data_pipeline.model.batch import Batch
from market_data_pipeline.model.names import file_name, is_price
from market_data_pipeline.model.option import OptionQuote
from market_data_pipeline.model.rows import Kind, Row

_PRICE = pa.decimal128(18, 9)
_TYPES: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64()}
_ORIGIN = ("provider", "epoch", "mode")


def batches_to_table(kind: Kind, batches: Sequence[Batch[Row]]) -> pa.Table:
    """Return batches of a kind as one table with the columns of our files: prices decimal128(18, 9), texts plain."""
    parts = [to_arrow(batch) for batch in batches]
    found = schema(kind)
    plain = pa.schema([field.with_type(_plain(field.type)) for field in found]).with_metadata(found.metadata or {})
    return pa.Table.from_batches(parts, schema=found).cast(plain)


def chain_to_table(rows: Sequence[OptionQuote]) -> pa.Table:
    """Return options as one table: the fields in order, with the origin as `provider`, `epoch` and `mode`."""
    fields, arrays = [], []
    for name, kind in _chain_types().items():
        fields.append(pa.field(file_name(name), kind))
        values: Any = [getattr(row.origin if name in _ORIGIN else row, name) for row in rows]
        # A price is the int of its decimal: made at scale 0, then read at scale 9.
        arrays.append(_prices(values) if is_price(name) else pa.array(values, kind))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def to_pandas(table: pa.Table) -> Any:
    """Return a pandas DataFrame whose columns keep their Arrow types, so that prices stay exact.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    pandas = _library("pandas")
    return table.to_pandas(types_mapper=pandas.ArrowDtype)


def to_polars(table: pa.Table) -> Any:
    """Return a polars DataFrame; prices are Decimal(18, 9).

    Raises:
        ConfigurationError: polars is not installed.
    """
    return _library("polars").from_arrow(table)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"{name} is not installed: pip install {name}, or use to_arrow()") from error


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return pa.string()
    return _PRICE if pa.types.is_decimal(kind) else kind


def _chain_types() -> dict[str, pa.DataType]:
    types: dict[str, pa.DataType] = {}
    for name, hint in get_type_hints(OptionQuote).items():
        if name == "origin":
            types |= {"provider": pa.string(), "epoch": pa.int64(), "mode": pa.string()}
        elif name in OptionQuote.__struct_fields__:
            base = next((kind for kind in _TYPES if hint == kind or hint == kind | None), str)
            types[name] = _PRICE if is_price(name) else _TYPES[base]
    return types


def _prices(values: Sequence[int | None]) -> pa.Array[Any]:
    words = bytearray()
    for value in values:
        words += (value or 0).to_bytes(16, "little", signed=True)
    valid = pa.array([value is not None for value in values], pa.bool_()).buffers()[1]
    return pa.Array.from_buffers(_PRICE, len(values), [valid, pa.py_buffer(bytes(words))])
