"""What the built-in sinks share: a best-effort promise, and errors that say what to do."""

from __future__ import annotations

import errno
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import anyio.to_thread

from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import StreamItem

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_ADVICE = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some space, or write to another disk",
    errno.EFBIG: "raise the limit on the size of files, or let files roll earlier",
    errno.EACCES: "check who may write there, or choose another path",
    errno.EPERM: "check who may write there, or choose another path",
    errno.EROFS: "choose a path on a disk that can be written",
    errno.ENOTDIR: "a file is where a folder has to be: choose another path",
    errno.EEXIST: "a file is where a folder has to be: choose another path",
    errno.EISDIR: "this is a folder: name a file in it",
    errno.ENOENT: "somebody removed it: no other process may write there under the same pipeline name",
}


class BaseSink(ABC):
    """A sink that keeps no position and promises what it can: rows may be lost, or come twice, with a crash."""

    guarantee: Literal["best_effort", "at_least_once", "effectively_once"] = "best_effort"

    async def open(self, pipeline: str) -> tuple[str, bytes] | None:  # noqa: ARG002 - the contract's form
        """Get ready; there is no last position."""
        return None

    @abstractmethod
    async def write(self, item: StreamItem) -> None:
        """Take one item."""

    async def commit(self, position: str | None, state: bytes) -> None:  # noqa: B027 - not every sink can
        """Make durable what was written, where that means something."""

    async def close(self) -> None:  # noqa: B027 - not every sink holds something
        """Give back all it holds."""


class FileSink(BaseSink):
    """A sink that blocks on the disk: in threads, one job after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def _in_thread(self, job: Callable[[], None]) -> None:
        """Do a job off the loop. A cancelled task leaves its thread at work: the next job waits for it."""
        await anyio.to_thread.run_sync(self._locked, job)

    def _locked(self, job: Callable[[], None]) -> None:
        with self._lock:
            job()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating system's error into a `SinkError` that says where and what to do.

    Yields:
        Nothing.

    Raises:
        SinkError: Transient when the disk is full.
    """
    try:
        yield
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else str(error)
        advice = _ADVICE.get(error.errno or 0, "look at the disk")
        raise SinkError(
            f"cannot write {error.filename or path}: {what}: {advice}", transient=error.errno in _FULL
        ) from error
