"""The files that a Parquet sink is writing: which rows go where, and when a file is complete.

Imported on first use: it needs numpy and pyarrow.
"""

from __future__ import annotations

import filecmp
import logging
import os
import shutil
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import quote

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market_data_pipeline.model import Batch, Kind, Row, format_interval
from market_data_pipeline.model.arrow import SCHEMA_KEY, SCHEMAS, RowGroup, schema
from market_data_pipeline.sink.base import writing

Job = Callable[[], None]
"""Something that blocks on the disk."""

_DAY = 86_400_000_000_000
_log = logging.getLogger("market_data_pipeline.sink")

_RISING = frozenset({"ordinal", "time", "ts_event", "ts_recv", "start", "end"})
"""Columns in which each value is new and near the last one: packed as differences, a sixth of the cost of words."""
_UNIQUE = _RISING | {"trade_id"}


@attrs.frozen(kw_only=True)
class Layout:
    """How a file looks."""

    prices: Literal["decimal", "float64"]
    compression: Literal["zstd", "lz4", "snappy", "none"]
    rows_per_file: int
    bytes_per_file: int
    rows_per_group: int


@attrs.frozen
class Partition:
    """What the rows of a file have in common."""

    kind: Kind
    interval: int
    """Of bars, in ns; 0 of ticks."""
    provider: str
    day: int
    """Days since the epoch."""

    @property
    def folder(self) -> Path:
        """The folder in the dataset."""
        interval = [f"interval={format_interval(self.interval)}"] if self.interval else []
        date = f"date={np.datetime64(self.day, 'D')}"
        return Path(f"kind={self.kind}", *interval, f"provider={quote(self.provider, safe='')}", date)


class Dataset:
    """The open files of one run of one pipeline.

    Half-written files stand beside the dataset's folder, where no reader of the folder meets them; inside of it where
    the folder's parent is another disk or cannot be written.
    """

    def __init__(self, root: Path, name: str, layout: Layout, *, open_files: int) -> None:
        self._root = root
        self._name = name
        self._layout = layout
        self._open_files = open_files
        self._files: dict[Partition, PartFile] = {}
        self._numbers: Counter[tuple[Partition, int]] = Counter()
        with writing(root):
            make_folder(root)
            outside = root.parent.stat().st_dev == root.stat().st_dev and os.access(root.parent, os.W_OK)
            self._temporary = (root.with_name(f".{root.name}.tmp") if outside else root / ".tmp") / name
            if self._temporary.exists():
                shutil.rmtree(self._temporary)
            self._temporary.mkdir(parents=True)

    def add(self, batch: Batch[Row]) -> Iterator[Job]:
        """Take rows in; yield each job that has to be done before the next is asked for."""
        if batch.born == "rows":
            batch = batch.from_columns(batch.columns, batch.origin)
        for partition, start, stop in _runs(batch):
            at = start
            while at < stop:
                file = self._files.pop(partition, None)
                if file is None:
                    if len(self._files) >= self._open_files:
                        yield from self._finish(min(self._files, key=lambda other: other.day))
                    file = self._new(partition, batch.origin.epoch)
                self._files[partition] = file  # the most recently used is last
                count = min(stop - at, file.room)
                file.append(batch[at : at + count])
                at += count
                if not file.room:
                    yield file.write
                if file.complete:
                    yield from self._finish(partition)

    def finish(self, *, before: int | None = None) -> Iterator[Job]:
        """Yield the jobs that complete all files, or those of the days before a time, int ns."""
        for partition in list(self._files):
            if before is None or partition.day < before // _DAY:
                yield from self._finish(partition)

    def discard(self) -> None:
        """Remove the files that are not complete."""
        for file in self._files.values():
            file.discard()
        self._files.clear()
        shutil.rmtree(self._temporary, ignore_errors=True)
        with suppress(OSError):  # another pipeline is writing there
            self._temporary.parent.rmdir()

    def _finish(self, partition: Partition) -> Iterator[Job]:
        yield self._files[partition].publish
        del self._files[partition]

    def _new(self, partition: Partition, epoch: int) -> PartFile:
        number = self._numbers[partition, epoch]
        self._numbers[partition, epoch] += 1
        name = f"{self._name}-{epoch}-{number:05d}.parquet"
        # The temporary name is a number: partitions of one name must not meet.
        temporary = self._temporary / f"{self._numbers.total()}.tmp"
        return PartFile(self._root / partition.folder / name, temporary, partition.kind, self._layout)


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
    """Return what pyarrow is to read the columns as: plain types, but a dictionary for the provider.

    That is what it (and pandas by it) makes of `provider=` in a path, and it refuses a file that says otherwise.
    """
    plain: dict[pa.DataType, pa.DataType] = {
        pa.decimal64(18, 9): pa.decimal128(18, 9),
        pa.dictionary(pa.int32(), pa.string()): pa.string(),
    }
    fields = [
        field if field.name == "provider" else field.with_type(plain.get(field.type, field.type)) for field in written
    ]
    return b64encode(pa.schema(fields).serialize().to_pybytes()).decode()


def _runs(batch: Batch[Row]) -> Iterator[tuple[Partition, int, int]]:
    """Yield the runs of rows of one partition as (partition, start, stop)."""
    columns, kind, provider = batch.columns, batch.kind, batch.origin.provider
    days = columns["ts_event"] // _DAY
    changes = days[1:] != days[:-1]
    widths = np.zeros(1, "i8")
    if kind == "bar":
        widths = columns["end"] - columns["start"]
        changes |= widths[1:] != widths[:-1]
    cuts = [0, *(np.flatnonzero(changes) + 1).tolist(), len(batch)]
    for start, stop in pairwise(cuts):
        yield Partition(kind, int(widths[start if kind == "bar" else 0]), provider, int(days[start])), start, stop


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
