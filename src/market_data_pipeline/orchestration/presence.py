"""What each process shows of itself in the data directory: one file, for as long as the process lives.

A process holds the system's lock on one byte of a common file. The system drops it when the process ends, whatever ends
it, and keeps it for one that is stopped: so a file of a process that was killed is never taken for a living one's. The
folder must be on a local disk.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePath
from typing import Any, Final

import attrs
import msgspec

from market_data_pipeline.breaking import BreakerStatus
from market_data_pipeline.pacing.owners import Owners
from market_data_pipeline.pacing.usage import RuleUsage
from market_data_pipeline.pacing.waiter import Waits

LOCKS: Final = "locks"


@attrs.frozen(kw_only=True)
class ShownRule:
    """A rule of a budget, and how much of it is taken."""

    name: str
    kind: str
    limit: int | None
    """How much it allows; None: it is a gap in time."""
    period_ns: int | None
    per: tuple[str, ...]
    """The keys that it counts by: then `usage` has those for which something is taken."""
    usage: RuleUsage | None
    """None: it cannot be told."""


@attrs.frozen(kw_only=True)
class ShownRest:
    """A cooldown, or the rate that a refusal has left."""

    operation: str
    until: int | None
    """When the cooldown ends, int ns since the epoch, UTC; None: it is over."""
    rate: float
    """Cost a second; 0: it is not shrunk."""


@attrs.frozen(kw_only=True)
class ShownBreaker:
    """A breaker at a time."""

    status: BreakerStatus
    since: int
    """Since when it is so, int ns since the epoch, UTC."""
    refuses: bool
    until: int | None
    """Until when, if it does; None: until somebody resets it."""


@attrs.frozen(kw_only=True)
class ShownWait:
    """Who waits."""

    waits: Waits
    since: int
    """Since when, int ns since the epoch, UTC."""
    until: int | None
    """Until when at least; None: until something is given back, or somebody before it has gone."""


@attrs.frozen(kw_only=True)
class ShownAccount:
    """An account of a process."""

    name: str
    provider: str
    in_flight: int
    waiting: int
    rules: tuple[ShownRule, ...]
    rests: tuple[ShownRest, ...]
    trouble: str
    """Why what is taken cannot be told; empty: it can."""
    breakers: tuple[ShownBreaker, ...]
    waits: tuple[ShownWait, ...]
    """The first of them, by arrival."""


@attrs.frozen(kw_only=True)
class ShownProcess:
    """A process, or one of several runtimes of one."""

    pid: int
    program: str = attrs.field(factory=lambda: PurePath(sys.argv[0] if sys.argv else "").name)
    since: int
    """When it started, int ns since the epoch, UTC."""
    taken: int
    """The time of the newest order that it has taken, and all before; 0: none."""
    accounts: tuple[ShownAccount, ...]


class Presence:
    """The file of one process. Its methods block: they are for a thread.

    Args:
        folder: Where all processes have theirs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owners: Owners | None = None
        self._number = 0
        self._shown = b""

    def show(self, process: ShownProcess) -> None:
        """Write how the process is, unless it is as it was.

        Raises:
            OSError: It cannot be written.
        """
        try:
            data = msgspec.json.encode(process)
        except UnicodeEncodeError:  # half a character, such as a vendor's message may have
            data = msgspec.json.encode(_whole(msgspec.to_builtins(process)))
        if self._owners is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._owners, self._number = Owners.join(self._folder / LOCKS, os.getpid())
        path = self._folder / f"{self._number}.json"
        if data != self._shown or not path.exists():
            new = path.with_suffix(".new")
            new.write_bytes(data)
            new.replace(path)
            self._shown = data

    def leave(self) -> None:
        """Take the file away.

        Raises:
            OSError: That is not possible.
        """
        owners, self._owners = self._owners, None
        if owners is not None:
            try:
                (self._folder / f"{self._number}.json").unlink(missing_ok=True)
            finally:
                owners.leave(self._number)


def _whole(value: Any) -> Any:
    """Return plain data whose texts are made of whole characters."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_whole(name): _whole(each) for name, each in value.items()}
        case [*items]:
            return [_whole(each) for each in items]
        case _:
            return value


def present(folder: Path, strange: dict[Path, str] | None = None) -> tuple[ShownProcess, ...]:
    """Return the processes that live, by number, and remove the files of those that do not.

    Args:
        folder: Where they have theirs.
        strange: Gets the files of living processes that cannot be read, and why.

    Raises:
        OSError: The folder cannot be read.
    """
    try:
        (folder / LOCKS).stat()
    except FileNotFoundError:
        return ()
    owners, mine = Owners.join(folder / LOCKS, os.getpid())
    try:
        found = []
        for path in sorted(folder.glob("[0-9]*.*"), key=lambda path: path.name.zfill(20)):
            if not path.stem.isdecimal():
                continue  # it is none of ours
            if int(path.stem) == mine or not owners.lives(int(path.stem)):
                path.unlink(missing_ok=True)
                continue
            if path.suffix != ".json":
                continue
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=ShownProcess))
            except FileNotFoundError:  # it has just ended
                continue
            except msgspec.MsgspecError as error:
                if strange is not None:
                    strange[path] = str(error)
        return tuple(found)
    finally:
        owners.leave(mine)
