"""The store: the Parquet dataset in the data directory."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from market_data_pipeline.settings.directory import data_directory
from market_data_pipeline.sink.parquet import ParquetSink


class StoreSink(ParquetSink):
    """Writes to the folder `parquet` of the data directory."""

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        prices: Literal["decimal", "float64"] = "decimal",
        compression: Literal["zstd", "lz4", "snappy", "none"] = "zstd",
        rows_per_file: int = 1_048_576,
        bytes_per_file: int = 268_435_456,
        rows_per_group: int = 65_536,
        open_files: int = 16,
    ) -> None:
        super().__init__(
            (data_directory() if path is None else Path(path)) / "parquet",
            prices=prices,
            compression=compression,
            rows_per_file=rows_per_file,
            bytes_per_file=bytes_per_file,
            rows_per_group=rows_per_group,
            open_files=open_files,
        )
