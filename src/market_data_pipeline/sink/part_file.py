"""One Parquet file that a sink is writing. Imported on first use: it needs numpy and pyarrow."""

from __future__ import annotations

import filecmp
import logging
import os
import sys
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from market_data_pipeline.model import Batch, Kind, Row
from market_data_pipeline.model.arrow import SCHEMA_KEY, SCHEMAS, RowGroup, as_read, schema
from market_data_pipeline.sink.base import writing
from market_data_pipeline.sink.layout import Layout

_log = logging.getLogger("market_data_pipeline.sink")

_RISING = frozenset({"ordinal", "time", "ts_event", "ts_recv", "start", "end"})
"""Columns in which each value is new and near the last one: packed as differences, a sixth of the cost of words."""
_UNIQUE = _RISING | {"trade_id"}


class PartFile:
    """One file on its way: rows wait for a row group, row groups go to the temporary file."""

    def __init__(self, path: Path, temporary: Path, kind: Kind, layout: Layout) -> None:
        self._path = path
        self._temporary = temporary
        self._kind = kind
        self._layout = layout
        self._schema = schema(kind, prices=layout.prices)
        self._group = RowGroup(kind, layout.rows_per_group)
        self._rows = 0
        self._size = 0
        self._file: BinaryIO | None = None
        self._writer: pq.ParquetWriter | None = None

    @property
    def room(self) -> int:
        """How many rows fit before it has to be written."""
        return min(self._group.room, self._layout.rows_per_file - self._rows - len(self._group))

    @property
    def complete(self) -> bool:
        """Whether it has all the rows or bytes that a file has."""
        rows, size = self._rows + len(self._group), self._size
        return rows >= self._layout.rows_per_file or size >= self._layout.bytes_per_file

    def append(self, batch: Batch[Row]) -> None:
        """Take rows in, for which there is room."""
        self._group.append(batch)

    def write(self) -> None:
        """Write the waiting rows as one row group.

        Raises:
            SinkError: It cannot be written.
        """
        with writing(self._temporary):
            if self._writer is None:
                self._writer = self._create()
            self._writer.write_batch(self._group.to_arrow(prices=self._layout.prices), len(self._group))
            self._rows += len(self._group)
            self._group.clear()
            self._size = self._file.tell() if self._file else 0

    def publish(self) -> None:
        """Write what waits, and give the file its name once it is on the disk.

        Raises:
            SinkError: It cannot be written.
        """
        if len(self._group):
            self.write()
        if self._writer is None or self._file is None:
            return
        with writing(self._path):
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            make_folder(self._path.parent)
            if self._path.exists() and not filecmp.cmp(self._temporary, self._path, shallow=False):
                _log.warning("%s had other rows, from an earlier run of the same pipeline: replaced", self._path)
            self._temporary.replace(self._path)
            sync_folder(self._path.parent)

    def discard(self) -> None:
        """Forget the rows, and close the temporary file."""
        self._group.clear()
        if self._file is not None:
            with suppress(OSError):  # it would write what the disk has refused
                self._file.close()
        if self._writer is not None:
            with suppress(ValueError, OSError):  # it would write its footer to the closed file
                self._writer.close()
            self._writer.is_open = False

    def _create(self) -> pq.ParquetWriter:
        names = self._schema.names
        packed: Any = [name for name in names if name not in _UNIQUE]
        self._file = self._temporary.open("wb")
        writer = pq.ParquetWriter(
            self._file,
            self._schema,
            compression=self._layout.compression,
            use_dictionary=packed,
            column_encoding={name: "DELTA_BINARY_PACKED" for name in names if name in _RISING},
            store_decimal_as_integer=True,
            store_schema=False,
        )
        writer.add_key_value_metadata({SCHEMA_KEY: SCHEMAS[self._kind], "ARROW:schema": _arrow_schema(self._schema)})
        return writer


def _arrow_schema(written: pa.Schema) -> str:
    """Return what pyarrow is to read the columns as."""
    return b64encode(as_read(written).serialize().to_pybytes()).decode()


def make_folder(folder: Path) -> None:
    """Make a folder and its parents so that they are there after a power loss."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system has a way to."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
