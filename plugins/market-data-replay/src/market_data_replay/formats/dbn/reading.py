"""The bytes of a DBN file, decoded piece by piece."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from market_data_pipeline.errors import InvalidRequest
from market_data_replay.formats.dbn.library import load
from market_data_replay.formats.text.lines import open_bytes


@contextmanager
def reading(path: Path) -> Generator[tuple[BinaryIO, BinaryIO]]:
    """Open a file, and say of what goes wrong in which file it did.

    Yields:
        What to read, and the file itself, whose place tells how much of it was read.

    Raises:
        InvalidRequest: It is damaged.
    """
    library = load()
    try:
        with open_bytes(path) as streams:
            yield streams
    except (library.DBNError, pa.ArrowException, OSError, EOFError) as error:
        raise InvalidRequest(f"{path} is damaged ({error}): replace or remove it", source="replay") from error


def decoded(path: Path, stream: BinaryIO, size: int) -> Generator[list[Any]]:
    """Yield records, those of about `size` bytes at a time; the very first is the metadata.

    Raises:
        InvalidRequest: The file ends within a record.
    """
    decoder = load().DBNDecoder()
    while data := stream.read(size):
        decoder.write(data)
        if records := decoder.decode():
            yield records
    if decoder.buffer():
        raise InvalidRequest(f"{path} ends within a record: replace or remove it", source="replay")


def metadata(path: Path) -> Any:
    """Return what a file says about itself.

    Raises:
        InvalidRequest: It is no DBN file.
    """
    with reading(path) as (stream, _):
        for records in decoded(path, stream, 1 << 16):
            return records[0]
    raise InvalidRequest(f"{path} is empty: replace or remove it", source="replay")
