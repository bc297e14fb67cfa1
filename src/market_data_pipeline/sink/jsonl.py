"""The JSON Lines sink: one object a row, in a file or on standard output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Batch, StreamItem
from market_data_pipeline.sink.base import FileSink, writing
from market_data_pipeline.sink.lines import json_lines
from market_data_pipeline.sink.stdout import write_stdout

_BUFFER = 1 << 20


class JsonlSink(FileSink):
    """Writes rows as JSON Lines with the names of our files; `-` is standard output. Control events are no data."""

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        super().__init__()
        self._path = Path(path).expanduser()
        self._stdout = str(path) == "-"
        self._append = append
        self._file: BinaryIO | None = None
        self._pending = bytearray()

    async def open(self, pipeline: str) -> None:  # noqa: ARG002 - the contract's form
        """Open the file, in a folder that is made if need be; a file that is there starts anew, or goes on."""
        if not self._stdout:
            await self._in_thread(self._open)

    async def write(self, item: StreamItem) -> None:
        """Take the rows of a batch; about 1 MiB of them waits in memory."""
        if not isinstance(item, Batch):
            return
        if self._stdout:
            await write_stdout(json_lines(item).decode())
            return
        self._pending += json_lines(item)
        if len(self._pending) >= _BUFFER:
            await self._in_thread(self._flush)

    async def commit(self, position: str | None, state: bytes) -> None:  # noqa: ARG002 - the contract's form
        """Make what was written durable."""
        if not self._stdout:
            await self._in_thread(self._sync)

    async def close(self) -> None:
        """Write what is left, and close the file."""
        if self._file is not None:
            await self._in_thread(self._close)

    def _open(self) -> None:
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab" if self._append else "wb", buffering=0)

    def _flush(self) -> None:
        if self._file is None:
            raise SinkError(f"{self._path} is not open: call open() first")
        pending, self._pending = memoryview(self._pending), bytearray()
        with writing(self._path):
            while pending:  # an unbuffered write may be short
                pending = pending[self._file.write(pending) :]

    def _sync(self) -> None:
        self._flush()
        if self._file is not None:
            with writing(self._path):
                os.fsync(self._file.fileno())

    def _close(self) -> None:
        try:
            self._flush()
        finally:
            file, self._file = self._file, None
            if file is not None:
                file.close()
