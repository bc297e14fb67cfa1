"""Acquiring from a budget that all processes of a host share, in CPU time of all of them; a locked file as the floor.

Beside it: a counter in a memory-mapped file under `flock`, which counts
a total and no window, one call at a time and with nothing written for a reboot: what any shared file costs at least.
"""

import asyncio
import fcntl
import mmap
import os
import tempfile
import time
from pathlib import Path

from results import Table, at_most

from market_data_pipeline.contracts.budget import SECOND_NS, Gcra, Window
from market_data_pipeline.pacing import Limiter, MemoryStore, SqliteStore

COUNT, ROUNDS, CROWD = 2_000, 3, 100
RULES = [
    Window(name="window", limit=60_000_000, period_ns=600 * SECOND_NS),
    Gcra(name="rate", limit=1_000_000, burst=100_000),
]


async def acquire(store, waiters):
    limiter = Limiter("bench", RULES, store=store)

    async def caller():
        for _ in range(COUNT // waiters):
            (await limiter.acquire("bars")).release()

    await asyncio.gather(*(caller() for _ in range(waiters)))


def ours(path, waiters):
    store = SqliteStore(path)
    asyncio.run(acquire(store, waiters))
    store.close()


def in_memory(_path, waiters):
    asyncio.run(acquire(MemoryStore(), waiters))


def floor(path, _waiters):
    with path.open("a+b") as file:
        file.truncate(8)
        with mmap.mmap(file.fileno(), 8) as memory:
            for _ in range(COUNT):
                fcntl.flock(file, fcntl.LOCK_EX)
                memory[:8] = (int.from_bytes(memory[:8], "little") + 1).to_bytes(8, "little")
                fcntl.flock(file, fcntl.LOCK_UN)


def microseconds(arm, waiters, processes):
    """Return the least CPU time of an acquire, all threads of all processes together."""
    best = float("inf")
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            children, spent = [], 0.0
            for _ in range(processes):
                if not (child := os.fork()):
                    begin = time.process_time()
                    arm(Path(folder, "budgets"), waiters)
                    Path(folder, f"spent-{os.getpid()}").write_text(str(time.process_time() - begin), encoding="utf-8")
                    os._exit(0)
                children.append(child)
            for child in children:
                _, status = os.waitpid(child, 0)
                assert status == 0
                spent += float(Path(folder, f"spent-{child}").read_text(encoding="utf-8"))
        best = min(best, spent / processes / COUNT * 1e6)
    return best


if __name__ == "__main__":
    table = Table("store", ["", "us an acquire", "ratio"])
    for processes in (1, 2):
        who = f"{processes} process{'es' if processes > 1 else ''}"
        lone, many, least = (microseconds(*arm, processes) for arm in ((ours, 1), (ours, CROWD), (floor, 1)))
        table.add(f"**{who}, {CROWD} callers each, one file**", f"{many:.1f}", "1.00")
        table.add(f"{who}, one caller each, one file", f"{lone:.1f}", f"{lone / many:.2f}")
        table.add(f"{who}, a counter under `flock`", f"{least:.1f}", f"{least / many:.2f}")
        table.goals.append(at_most(11, 3, many, f"a budget that processes share, {who}, {CROWD} callers each", " us"))
    memory = microseconds(in_memory, CROWD, 1)
    table.add(f"1 process, {CROWD} callers, in memory", f"{memory:.1f}", "")
    table.publish()
