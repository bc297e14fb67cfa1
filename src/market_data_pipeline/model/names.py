"""The names that the fields of rows have outside of the program, in files and in JSON."""

from __future__ import annotations

from market_data_pipeline.model.batch import BATCHES
from market_data_pipeline.model.rows import Kind, Row

LEADING = ("symbol", "provider", "epoch", "ordinal", "mode", "flags", "time", "ts_event", "ts_recv")
"""What every row begins with: its fields, those of its origin, and `time`, which is `ts_event` for people."""


def own_fields(kind: Kind) -> tuple[str, ...]:
    """Return the fields that a kind of rows has beside those of every row."""
    return BATCHES[kind].row_type.__struct_fields__[len(Row.__struct_fields__) :]


def is_price(field: str) -> bool:
    """Return whether a field is a price, int at 1e-9."""
    return field.endswith("px")


def file_name(field: str) -> str:
    """Return the name of a field outside: "bid" for `bid_px`, "price" for `px`."""
    return "price" if field == "px" else field.removesuffix("_px")
