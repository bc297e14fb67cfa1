"""Acquiring from a budget that all processes of a host share, in CPU time of all of them; a locked file as the floor.

Goal: at most 20 us an acquire where many wait. Beside it: a counter in a memory-mapped file under `flock`, which counts
a total and no window, one call at a time and with nothing written for a reboot: what any shared file costs at least.
"""

import asyncio
import fcntl
import mmap
import os
import tempfile
import time
from pathlib import Path

from market_data_pipeline.contracts.budget import SECOND_NS, Gcra, Window
from market_data_pipeline.pacing import Limiter, MemoryStore, SqliteStore

COUNT, ROUNDS = 2_000, 3
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
    print(f"\nus of CPU an acquire, the least of {ROUNDS}")
    for processes in (1, 2):
        least = microseconds(floor, 1, processes)
        print(f"  {processes} process(es), flock and mmap, no limiter    {least:8.1f}")
        for waiters in (1, 100):
            spent = microseconds(ours, waiters, processes)
            goal = f"  goal 20 us, {'met' if spent <= 20 else 'MISSED'}" if waiters > 1 else ""
            arm = f"{processes} process(es), {waiters:3} callers, SqliteStore"
            print(f"  {arm:<46}{spent:8.1f}  {spent / least:5.1f} x{goal}")
    print(f"  1 process, 100 callers, MemoryStore            {microseconds(in_memory, 100, 1):8.1f}")
