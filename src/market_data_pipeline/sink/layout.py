"""The layout of a Parquet file."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class Layout:
    """How a file looks."""

    prices: Literal["decimal", "float64"]
    compression: Literal["zstd", "lz4", "snappy", "none"]
    rows_per_file: int
    bytes_per_file: int
    rows_per_group: int
