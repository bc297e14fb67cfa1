"""Who of the processes that share a file still lives: each owner locks one byte of a file beside it.

The system drops the lock when the process ends, whatever ends it, and keeps it for one that is stopped or slow: so no
time-out has to guess. POSIX record locks belong to a process: a forked child has none of its parent's, and does not
keep them alive. But a process never finds a byte locked by itself, and loses all its locks on a file when it closes any
descriptor of it: hence one descriptor for all owners of a process, and a set of their numbers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Lock
from typing import Final

if sys.platform == "win32":  # pragma: no cover (the tests of Linux cannot run it)
    import msvcrt

    def _lock(file: int, number: int) -> None:
        os.lseek(file, number, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _unlock(file: int, number: int) -> None:
        os.lseek(file, number, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: int, number: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)

    def _unlock(file: int, number: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, number)


class Owners:
    """The owners of this process, by number, in one file of locks; made by `join` alone."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._mine: set[int] = set()

    @classmethod
    def join(cls, path: Path, number: int) -> tuple[Owners, int]:
        """Add an owner of this process.

        Args:
            path: The file of locks; made if it is missing.
            number: The number that it gets unless another one has that; then the next that is free.

        Returns:
            The owners of this process, and the new one's number.

        Raises:
            OSError: The file cannot be opened, or its file system knows no locks.
        """
        key = os.path.realpath(path)
        with _guard:
            owners = _OPEN.get(key)
            if owners is None or not owners.at(path):
                owners = _OPEN[key] = cls(path)
            while not owners._claim(number):
                number += 1
            owners._mine.add(number)
        return owners, number

    def lives(self, number: int) -> bool:
        """Tell whether the process of an owner lives, and the owner has not left."""
        with _guard:
            if number in self._mine:
                return True
            if self._claim(number):
                _unlock(self._file, number)
                return False
            return True

    def leave(self, number: int) -> None:
        """Take an owner of this process out."""
        with _guard:
            self._mine.discard(number)
            _unlock(self._file, number)
            if not self._mine:
                os.close(self._file)
                for key in [key for key, owners in _OPEN.items() if owners is self]:
                    del _OPEN[key]

    def _claim(self, number: int) -> bool:
        if number in self._mine:
            return False
        try:
            _lock(self._file, number)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def at(self, path: Path) -> bool:
        """Tell whether this is its file; somebody may have deleted that."""
        try:
            return os.path.samestat(os.fstat(self._file), path.stat())
        except FileNotFoundError:
            return False


_OPEN: Final[dict[str, Owners]] = {}
_guard = Lock()


def forget() -> None:
    """Begin without owners, in a forked child: those that it seems to have are its parent's, as is who has the lock."""
    global _guard  # noqa: PLW0603
    _guard = Lock()
    for owners in _OPEN.values():
        os.close(owners._file)  # noqa: SLF001
    _OPEN.clear()
