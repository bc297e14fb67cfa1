"""Eight processes that call one vendor under one budget, one of which is killed every 50 ms and replaced.

Arguments: the vendor's port, the file of the budget, what the vendor allows and in how many ms, the slack and the
length of it all, ms.
"""

import asyncio
import os
import random
import signal
import sys
import time
import traceback

from market_data_pipeline.contracts.budget import Concurrency, Window
from market_data_pipeline.pacing import Limiter, SqliteStore

PORT, PATH = int(sys.argv[1]), sys.argv[2]
LIMIT, PERIOD_MS, SLACK_MS, LENGTH_MS = map(int, sys.argv[3:])
PROCESSES, CALLERS, KILL_SEC = 8, 3, 0.05


async def call(limiter):
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    while True:
        grant = await limiter.acquire("bars")
        writer.write(b"%d\n" % grant.at)
        await reader.readline()
        grant.release()


async def calls():
    rules = [
        Window(name="window", limit=LIMIT, period_ns=PERIOD_MS * 1_000_000),
        Concurrency(name="open", limit=PROCESSES * CALLERS // 2),
    ]
    limiter = Limiter("acme", rules, store=SqliteStore(PATH, slack_ns=SLACK_MS * 1_000_000))
    await asyncio.gather(*(call(limiter) for _ in range(CALLERS)))


def start():
    if child := os.fork():
        return child
    try:
        asyncio.run(calls())
    except BaseException:  # noqa: BLE001 (whatever it is, it is told)
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    seeded = random.Random(7)
    children = [start() for _ in range(PROCESSES)]
    kills, status, until = 0, signal.SIGKILL, time.monotonic() + LENGTH_MS / 1_000
    while time.monotonic() < until and status == signal.SIGKILL:
        time.sleep(KILL_SEC)
        victim = children.pop(seeded.randrange(PROCESSES))
        os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(victim, 0)
        kills += 1
        children.append(start())
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if status != signal.SIGKILL:
        sys.exit("one ended by itself, and has said why")
    sys.stdout.write(str(kills))
