"""The Parquet sink: a partitioned dataset of whole files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import blake2s
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio.to_thread

from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Batch, StreamItem, Watermark
from market_data_pipeline.sink.base import FileSink
from market_data_pipeline.sink.layout import Layout

if TYPE_CHECKING:
    from market_data_pipeline.sink.dataset import Dataset


class ParquetSink(FileSink):
    """Writes rows to `kind=…/[interval=…/]provider=…/date=…/PIPELINE-EPOCH-NUMBER.parquet`, as `model.arrow` does.

    The date is that of `ts_event` in UTC; of a bar, that of its end. Control events are no data and are not written.

    A file appears under its name when it is whole and on the disk: at `rows_per_file` or `bytes_per_file`, when a
    watermark says that its date is over, and at each commit. What is not committed is gone after `close()` or a crash.
    Its bytes depend on the sequence of rows alone, so that the same replay, run again, replaces its files by the same.
    A pipeline has one writer: two processes must not write one dataset under one pipeline name.

    In memory are at most `open_files` times `rows_per_group` rows (of about 100 bytes), whatever the partitions: a row
    of one partition more closes that with the oldest date, and the least recently used of those.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        prices: Literal["decimal", "float64"] = "decimal",
        compression: Literal["zstd", "lz4", "snappy", "none"] = "zstd",
        rows_per_file: int = 1_048_576,
        bytes_per_file: int = 268_435_456,
        rows_per_group: int = 65_536,
        open_files: int = 16,
    ) -> None:
        super().__init__()
        self.path: Path = Path(path).expanduser()
        self._open_files = open_files
        self._layout = Layout(
            prices=prices,
            compression=compression,
            rows_per_file=rows_per_file,
            bytes_per_file=bytes_per_file,
            rows_per_group=rows_per_group,
        )
        self._dataset: Dataset | None = None

    async def open(self, pipeline: str) -> None:
        """Make the folder, and remove what a killed run of this pipeline left half written.

        Raises:
            SinkError: The folder cannot be made or written.
        """
        # Here, not in the thread: native libraries are first loaded in the main one.
        from market_data_pipeline.sink.dataset import Dataset

        make = partial(Dataset, self.path, slug(pipeline), self._layout, open_files=self._open_files)
        self._dataset = await anyio.to_thread.run_sync(make)

    async def write(self, item: StreamItem) -> None:
        """Take the rows of a batch; a full row group is written in a thread.

        Raises:
            SinkError: It is not open, or a file cannot be written.
        """
        dataset = self._opened()
        if isinstance(item, Batch):
            await self._do(dataset.add(item))
        elif isinstance(item, Watermark):
            await self._do(dataset.finish(before=item.ts_event))

    async def commit(self, position: str | None, state: bytes) -> None:  # noqa: ARG002 - the contract's form
        """Complete all files.

        Raises:
            SinkError: It is not open, or a file cannot be written.
        """
        await self._do(self._opened().finish())

    async def close(self) -> None:
        """Remove the files that are not complete."""
        if self._dataset is not None:
            dataset, self._dataset = self._dataset, None
            await self._in_thread(dataset.discard)

    def _opened(self) -> Dataset:
        if self._dataset is None:
            raise SinkError(f"the Parquet sink of {self.path} is not open: call open() first")
        return self._dataset

    async def _do(self, jobs: Iterable[Callable[[], None]]) -> None:
        for job in jobs:
            await self._in_thread(job)


def slug(pipeline: str) -> str:
    """Return the part of file names that stands for a pipeline: its name, with a digest where letters had to go."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", pipeline).strip("-.")[:100]
    return name if name == pipeline else f"{name}-{blake2s(pipeline.encode(), digest_size=4).hexdigest()}".lstrip("-")
