"""What a plugin leaves behind: tasks, threads and descriptors."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from market_data_pipeline.testing.simloop import where

TURNS = 100
"""How often other tasks may run before what they left is counted."""
ROUNDS = 40
ROUND_S = 0.05
"""Threads and the other ends of connections have 40 times 50 ms to go away."""


@attrs.frozen
class Resources:
    """The threads and descriptors of this process at one time."""

    threads: frozenset[threading.Thread]
    descriptors: frozenset[str]

    @classmethod
    def now(cls) -> Resources:
        """Return what there is."""
        gc.collect()
        return cls(frozenset(threading.enumerate()), _descriptors())

    def new_threads(self) -> list[str]:
        """Return the names of threads that were not there, after they had time to end."""
        return _patiently(lambda: [thread.name for thread in threading.enumerate() if thread not in self.threads])

    def new_descriptors(self) -> list[str]:
        """Return the descriptors that were not there, after their other ends had time to close."""
        gc.collect()
        return _patiently(lambda: sorted(_descriptors() - self.descriptors))


async def new_tasks(before: Iterable[asyncio.Task[Any]]) -> list[str]:
    """Return what tasks wait in that were not there before, after they had some turns to end."""
    known = {*before, asyncio.current_task()}
    for _ in range(TURNS):
        if not (left := asyncio.all_tasks() - known):
            return []
        await asyncio.wait(left, timeout=ROUND_S / 10)
    return sorted(f"{task.get_name()} in {where(task.get_coro())}" for task in asyncio.all_tasks() - known)


def _patiently(look: Callable[[], list[str]]) -> list[str]:
    pause = threading.Event()
    for _ in range(ROUNDS):
        if not (found := look()):
            return []
        pause.wait(ROUND_S)
    return found


def _descriptors() -> frozenset[str]:
    """Return each open descriptor with what it is; none where the system does not tell."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"  # noqa: PTH112 (a descriptor, no file)
    try:
        names = os.listdir(folder)  # noqa: PTH208 (the same)
    except OSError:
        return frozenset()
    return frozenset(f"{name} is {target}" for name in names if (target := _target(f"{folder}/{name}")))


def _target(path: str) -> str:
    try:
        target = os.readlink(path)  # noqa: PTH115 (the same)
    except OSError:  # it was that of the listing itself
        return ""
    return "" if target.endswith("/fd") else target
