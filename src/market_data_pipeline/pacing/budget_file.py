"""A SQLite file of what was used: values by name, and the store's time, written together or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from market_data_pipeline.errors import BudgetUnavailable
from market_data_pipeline.pacing.owners import Owners
from market_data_pipeline.pacing.store_time import StoreTime

VERSION: Final = 1
"""The format of the file, kept as its `user_version`."""

_FORGOTTEN: Final = "move it away; what was used is then forgotten, so wait before as long as the longest window"
_CURES: Final = {
    sqlite3.SQLITE_CORRUPT: _FORGOTTEN,
    sqlite3.SQLITE_NOTADB: _FORGOTTEN,
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "let this user write it and its folder",
    sqlite3.SQLITE_CANTOPEN: "its folder must be there, on a local disk, and this user may write it",
    sqlite3.SQLITE_IOERR: "look at its disk",
}
_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_TIME: Final = msgspec.msgpack.Decoder(tuple[int, int, int, int])


class BudgetFile:
    """The file, in one transaction at a time; any failure closes it, and the next `begin` opens it anew.

    Write-ahead log, `synchronous=NORMAL`: the file is whole and has all that was committed however many processes are
    killed. If the power fails it is whole too, and may lack what the system had not yet written to the disk.

    Args:
        path: Where it is; `-wal`, `-shm` and `-owners` files lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.time: StoreTime = StoreTime()
        """The time as of the last `begin`."""
        self.owner: int = 0
        """The number of who uses it here; another one if the file was replaced."""
        self.changed: bool = True
        """Whether anybody else has written since the transaction before."""
        self._owners: Owners | None = None
        self._next_owner = 1
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[int, int] = (0, 0)  # the file's device and node
        self._data_version = -1

    def begin(self) -> bool:
        """Begin a transaction that writes.

        Returns:
            False: another process is in one.

        Raises:
            BudgetUnavailable: It cannot be opened, read or locked, or is of another format.
        """
        try:
            if self._connection is not None and self._seen != _node(self.path):
                self.close()  # deleted or replaced: go on with the one that the others use
            database = self._connection or self._open()
            database.execute("BEGIN IMMEDIATE")
            (data_version,) = database.execute("PRAGMA data_version").fetchone()
            self.changed = data_version != self._data_version
            self._data_version = data_version
            if self.changed:
                self._read_time()
        except sqlite3.Error as error:
            if _code(error) in _BUSY:
                if self._seen == (0, 0):
                    self.close()
                return False
            raise self.failed(error) from error
        except (OSError, msgspec.MsgspecError) as error:
            raise self.failed(error) from error
        return True

    def read(self, name: str) -> bytes | None:
        """Return a value."""
        row = self._database.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def read_all(self) -> list[tuple[str, bytes]]:
        """Return all names and values."""
        return self._database.execute("SELECT name, value FROM kept WHERE name != ''").fetchall()

    def names(self, prefix: str, most: int) -> list[str]:
        """Return the first names in order that begin so, `most` of them at most."""
        after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        query = "SELECT name FROM kept WHERE name >= ? AND name < ? ORDER BY name LIMIT ?"
        return [name for (name,) in self._database.execute(query, (prefix, after, most))]

    def write(self, values: Iterable[tuple[str, bytes]], gone: Sequence[str], time: StoreTime) -> None:
        """Put values by name, delete those that are gone, and note the time at which that is so."""
        if gone:
            self._database.executemany("DELETE FROM kept WHERE name = ?", ((name,) for name in gone))
        stamp = msgspec.msgpack.encode((time.offset, time.mono, time.now, self._next_owner))
        self._database.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", [*values, ("", stamp)])
        self.time = time

    def commit(self) -> None:
        """End the transaction: what was written stays."""
        self._database.execute("COMMIT")

    def lives(self, owner: int) -> bool:
        """Tell whether the process of an owner lives, and the owner has not left."""
        return self._owners is None or self._owners.lives(owner)

    def failed(self, error: Exception) -> BudgetUnavailable:
        """Close the file after an error, which undoes the transaction.

        Returns:
            What to raise.
        """
        self.close()
        if isinstance(error, sqlite3.Error):
            cure = _CURES.get(_code(error), "look at the file and its disk")
        else:
            cure = _CURES[sqlite3.SQLITE_CANTOPEN if isinstance(error, OSError) else sqlite3.SQLITE_CORRUPT]
        return BudgetUnavailable(f"{self.path}: {error}: nothing goes out; {cure}")

    def close(self) -> None:
        """Close the file; the owner stays."""
        connection, self._connection, self._seen, self._data_version = self._connection, None, (0, 0), -1
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def leave(self) -> None:
        """Take the owner out: what it holds is free."""
        if self._owners is not None:
            self._owners.leave(self.owner)
            self._owners = None

    def forget(self) -> None:
        """Begin anew in a forked child, where the file must be closed already and the owner is the parent's."""
        self._owners, self.owner = None, 0

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._connection is not None  # noqa: S101 (between `begin` and `commit`)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = database = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False
        )
        # In this order: another process that makes the file meanwhile writes table and version in one transaction.
        is_made = database.execute("SELECT 1 FROM sqlite_master").fetchone() is not None
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if is_made and version == 0:
            self.close()
            raise BudgetUnavailable(f"{self.path} is a database of something else: nothing goes out; name another file")
        if version not in {0, VERSION}:
            self.close()
            raise BudgetUnavailable(
                f"{self.path} has format {version}, and this version knows {VERSION}: nothing goes out;"
                " upgrade market-data-pipeline here, or name another file"
            )
        (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            self.close()
            raise BudgetUnavailable(f"{self.path} is where processes share no memory; put it on a local disk")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("BEGIN IMMEDIATE")
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.execute("CREATE TABLE kept (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
            database.execute(f"PRAGMA user_version = {VERSION}")
            self.time, self._next_owner = StoreTime(), 1
        else:
            self._read_time()
        self._join()
        self.write((), (), self.time)
        database.execute("COMMIT")
        self._seen = _node(self.path)
        return database

    def _join(self) -> None:
        """Become an owner whose number nobody had before, in this file."""
        beside = self.path.with_name(f"{self.path.name}-owners")
        if self._owners is not None and not self._owners.at(beside):
            self.leave()
        if self._owners is None:
            self._owners, self.owner = Owners.join(beside, self._next_owner)
        self._next_owner = max(self._next_owner, self.owner + 1)

    def _read_time(self) -> None:
        if (value := self.read("")) is not None:
            *time, self._next_owner = _TIME.decode(value)
            self.time = StoreTime(*time)


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code of SQLite."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _node(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino
