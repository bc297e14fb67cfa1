"""A zip file that several runs read from, open only while one of them needs it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile, ZipInfo

import attrs

from market_data_pipeline.errors import InvalidRequest


@attrs.define
class Archive:
    """One zip file."""

    path: Path
    readers: int = 0
    """How many entries are still to be read: with the last one the file is closed."""
    _open: int = 0
    _zip: ZipFile | None = None

    def entries(self) -> list[ZipInfo]:
        """Return its CSV files, in order.

        Raises:
            InvalidRequest: It is no zip file.
        """
        try:
            with ZipFile(self.path) as archive:
                return [entry for entry in archive.infolist() if entry.filename.lower().endswith(".csv")]
        except (BadZipFile, OSError) as error:
            raise InvalidRequest(
                f"{self.path} is not the zip file that its name says ({error}): replace or remove it", source="replay"
            ) from error

    @contextmanager
    def read(self, entry: ZipInfo) -> Generator[IO[bytes]]:
        """Open one of its files.

        Yields:
            Its text.
        """
        self._zip = self._zip or ZipFile(self.path)
        self._open += 1
        whole = False
        try:
            with self._zip.open(entry) as stream:
                yield stream
            whole = True
        finally:
            self._open -= 1
            self.readers = self.readers - 1 if whole else 0
            if not self._open and self.readers <= 0:
                self._zip.close()
                self._zip = None
