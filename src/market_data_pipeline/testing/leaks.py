"""What a piece of code holds: tasks, threads and descriptors, to tell afterwards what it left behind."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import attrs

_DESCRIPTORS = Path("/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd")


@attrs.frozen
class Held:
    """What is held at one moment, by name."""

    tasks: frozenset[asyncio.Task[object]]
    threads: frozenset[threading.Thread]
    descriptors: frozenset[str]

    @classmethod
    def now(cls) -> Held:
        """Return what the running loop and the process hold."""
        return cls(frozenset(asyncio.all_tasks()), frozenset(threading.enumerate()), _descriptors())

    def more_than(self, before: Held) -> list[str]:
        """Return what is held here and was not before, each in words."""
        tasks = [f"task {task.get_name()}" for task in self.tasks - before.tasks]
        threads = [f"thread {thread.name}" for thread in self.threads - before.threads if not _is_pool(thread)]
        return sorted([*tasks, *threads, *(f"descriptor {name}" for name in self.descriptors - before.descriptors)])


def _is_pool(thread: threading.Thread) -> bool:
    """Tell whether a thread is one of the loop's or anyio's workers, which wait for more work."""
    return thread.name.startswith("asyncio_") or type(thread).__name__ == "WorkerThread"


def _descriptors() -> frozenset[str]:
    if not _DESCRIPTORS.exists():
        return frozenset()
    found = set()
    for number in _DESCRIPTORS.iterdir():
        try:
            os.fstat(int(number.name))  # that of the listing itself is closed by now
        except OSError:
            continue
        found.add(number.name)
    return frozenset(found)
