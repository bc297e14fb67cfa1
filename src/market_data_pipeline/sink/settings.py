"""The settings of the sinks; the first field is what stands behind the colon in `NAME:ARGUMENT`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field


class SinkSettings(BaseModel):
    """What all have in common: an unknown key is an error."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class ConsoleSettings(SinkSettings):
    """Rows on standard output."""

    format: Literal["text", "json"] = Field(default="text", description="Lines for people, or JSON Lines.")


class JsonlSettings(SinkSettings):
    """Rows as JSON Lines."""

    path: Path = Field(description="The file; - is standard output.")
    append: bool = Field(default=False, description="Go on at the end of a file that is there, instead of anew.")


class MemorySettings(SinkSettings):
    """Rows in memory."""

    max_rows: int = Field(default=1_000_000, gt=0, description="More rows than this are an error.")


class StoreSettings(SinkSettings):
    """The Parquet dataset in the data directory."""

    path: Path | None = Field(
        default=None, description="The data directory. Left out: MDP__DATA_DIR, or the user's data directory."
    )
    prices: Literal["decimal", "float64"] = Field(
        default="decimal", description="DECIMAL(18, 9), or the nearest float."
    )
    compression: Literal["zstd", "lz4", "snappy", "none"] = Field(default="zstd", description="How pages are packed.")
    rows_per_file: int = Field(default=1_048_576, gt=0, description="Rows at which a file is complete.")
    bytes_per_file: int = Field(default=268_435_456, gt=0, description="Bytes after which a file is complete.")
    rows_per_group: int = Field(default=65_536, gt=0, description="Rows of a row group, which wait in memory.")
    open_files: int = Field(default=16, gt=0, description="Partitions that are written at a time.")


class ParquetSettings(StoreSettings):
    """A dataset of Parquet files."""

    path: Path = Field(description="The folder of the dataset.")
