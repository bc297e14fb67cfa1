"""The files that a Parquet sink is writing: which rows go where, and when a file is complete.

Imported on first use: it needs numpy and pyarrow.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import attrs
import numpy as np

from market_data_pipeline.model import Batch, Kind, Row, format_interval
from market_data_pipeline.sink.base import writing
from market_data_pipeline.sink.layout import Layout
from market_data_pipeline.sink.part_file import PartFile, make_folder

Job = Callable[[], None]
"""Something that blocks on the disk."""

_DAY = 86_400_000_000_000


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
