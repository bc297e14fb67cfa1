"""Text files, compressed or not."""

from __future__ import annotations

import gzip
import io
from codecs import BOM_UTF8
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from market_data_pipeline.errors import InvalidRequest

LONGEST = 1 << 20
"""No line has more bytes."""


@contextmanager
def open_bytes(path: Path) -> Generator[tuple[BinaryIO, BinaryIO]]:
    """Open a file, decompressed by its name's last suffix (.gz, .zst), and close it.

    Yields:
        What to read, and the file itself, whose place tells how much of it was read.
    """
    with path.open("rb") as file:
        if path.suffix == ".gz":
            with gzip.open(file, "rb") as stream:
                yield cast("BinaryIO", stream), file
        elif path.suffix == ".zst":
            with pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd") as stream:
                yield cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", stream), 1 << 18)), file
        else:
            yield file, file


def lines_of(stream: BinaryIO) -> Generator[bytes]:
    """Yield lines, without the mark that some programs put before the first.

    Raises:
        InvalidRequest: One is longer than any row of market data.
    """
    mark = True
    for line in iter(partial(stream.readline, LONGEST), b""):
        if len(line) == LONGEST:
            raise InvalidRequest(
                f"a line has more than {LONGEST:,} bytes: this is no text with a row a line", source="replay"
            )
        yield line.removeprefix(BOM_UTF8) if mark else line
        mark = False
