"""Limiter against aiolimiter and pyrate-limiter: the CPU time of a call, and how exactly and fairly a crowd is served.

A `Pacer` has one even rate, as the peers; a `Limiter` any rules, tenants, and what the vendor refused.
"""

import asyncio
import time
from collections import Counter, deque
from functools import partial

from aiolimiter import AsyncLimiter
from pyrate_limiter import Limiter as PyrateLimiter
from pyrate_limiter import Rate
from ratio import measure
from results import Table, at_least, at_most, timed

from market_data_pipeline.contracts.budget import Gcra
from market_data_pipeline.pacing import Budget, Limiter, Pacer

CALLS = 20_000
CROWD, HOG = 100, 91
SECONDS, ROUNDS = 2.0, 3
FREE = 10**9  # a rate that nobody reaches
OURS, TIMER, PACER, TRY, AIO, PYRATE = (
    "ours",
    "a timer that wakes them",
    "`Pacer.allow`",
    "`Limiter.try_acquire`",
    "aiolimiter",
    "pyrate-limiter",
)


def uncontended():
    """Return the ns of one call that never waits, by arm."""
    ours = Limiter("bench", [Gcra(name="rate", limit=FREE, burst=FREE)])
    pacer = Pacer(Budget(max_msgs_per_sec=FREE, burst=FREE))
    aio = AsyncLimiter(FREE, 1)
    pyrate = PyrateLimiter(Rate(FREE, 1_000))

    async def repeat(call):
        for _ in range(CALLS):
            await call()

    async def tries():
        await asyncio.sleep(0)
        for _ in range(CALLS):
            ours.try_acquire("x")

    programs = {
        PACER: lambda: repeat(pacer.allow),
        "`Limiter.acquire`": lambda: repeat(partial(ours.acquire, "x")),
        TRY: tries,
        AIO: lambda: repeat(aio.acquire),
        PYRATE: lambda: repeat(partial(pyrate.try_acquire_async, "x", blocking=False)),
    }
    with asyncio.Runner() as runner:
        arms = {name: lambda program=program: runner.run(program()) for name, program in programs.items()}
        return {name: spent / CALLS for name, spent in measure(arms).items()}


def crowd(acquire, tenants=lambda _: ""):
    """Let callers ask again and again: return when each grant was, to whom, and the CPU ns of one."""

    async def main():
        call, times, callers = acquire(), [], []
        end = time.monotonic() + SECONDS

        async def caller(number):
            while True:
                await call(tenants(number))
                times.append(time.monotonic())
                callers.append(number)

        before = time.process_time_ns()
        tasks = [asyncio.create_task(caller(number)) for number in range(CROWD)]
        await asyncio.sleep(end - time.monotonic())
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return times, callers, (time.process_time_ns() - before) / max(1, len(times))

    return asyncio.run(main())


def excess(times, rate, burst):
    """Return by how many grants the worst interval exceeds `burst + rate * t`; a caller notes each a little late."""
    worst = lowest = 0.0
    for number, at in enumerate(times):
        lead = number - rate * (at - times[0])
        lowest = min(lowest, lead)
        worst = max(worst, lead + 1 - lowest - burst)
    return worst


def jain(callers):
    """Return Jain's index of the shares: 1 where all are equal."""
    counts = Counter(callers).values()
    return sum(counts) ** 2 / (CROWD * sum(count * count for count in counts))


def by_ours(rate, burst):
    def make():
        limiter = Limiter("bench", [Gcra(name="rate", limit=rate, burst=burst)])
        return lambda tenant: limiter.acquire("x", tenant=tenant)

    return make


def by_aiolimiter(rate, burst):
    def make():
        limiter = AsyncLimiter(burst, burst / rate)
        return lambda _: limiter.acquire()

    return make


def by_timer(rate, _burst):
    """Keep no limit: wake about as many as would go out, so much as a loop does at least."""

    def make():
        loop, waiting = asyncio.get_running_loop(), deque()

        def wake():
            for _ in range(min(len(waiting), max(1, rate // 1_000))):
                if not (future := waiting.popleft()).done():
                    future.set_result(None)
            loop.call_later(max(0.001, 1 / rate), wake)

        async def acquire(_tenant):
            waiting.append(future := loop.create_future())
            await future

        wake()
        return acquire

    return make


def calls(spent):
    """Return the table of one call that never waits."""
    table = timed("limiter call", "ns a call", spent, PACER)
    for peer, factor in ((AIO, 2.5), (PYRATE, 20)):
        table.goals.append(
            at_least(10, factor, spent[peer] / spent[PACER], f"leave at once, times as fast as {peer}", " x")
        )
    table.goals.append(at_most(10, 200, spent[TRY], f"leave at once, {TRY}", " ns"))
    return table


def crowds():
    """Return the table of many who wait: the least CPU time of all rounds, and of the rest the worst."""
    table = Table("limiter crowd", ["", "rate, off by", "in excess of the burst", "Jain", "ns a grant", "ratio"])
    for rate in (200, 5_000, 50_000):
        burst, who = max(1, rate // 100), f"{CROWD} waiters at {rate:,}/s"
        off, more, fair, cost = ({} for _ in range(4))
        for name, make in [(OURS, by_ours), (AIO, by_aiolimiter), (TIMER, by_timer)] * ROUNDS:
            times, callers, spent = crowd(make(rate, burst))
            error = abs((len(times) - burst) / (rate * (times[-1] - times[0])) - 1)
            off[name] = max(error * 100, off.get(name, 0))
            more[name] = max(excess(times, rate, burst), more.get(name, 0))
            fair[name] = min(jain(callers[burst:]), fair.get(name, 1))  # who comes first may take the burst
            cost[name] = min(spent, cost.get(name, spent))
        for name, mark in ((OURS, "**"), (AIO, "")):
            numbers = f"{off[name]:.2f} %", f"{more[name]:.1f}", f"{fair[name]:.3f}", f"{cost[name]:,.0f}"
            table.add(f"{mark}{rate:,}/s, {name}{mark}", *numbers, f"{cost[name] / cost[OURS]:.2f}")
        table.add(f"{rate:,}/s, {TIMER}", "", "", "", f"{cost[TIMER]:,.0f}", f"{cost[TIMER] / cost[OURS]:.2f}")
        table.goals.append(at_most(10, 0.5, off[OURS], f"{who}, the rate off by", " %"))
        if rate >= 5_000:
            table.goals.append(at_least(10, 0.99, fair[OURS], f"{who}, Jain's index"))
            table.goals.append(at_most(10, 0.6, cost[OURS] / cost[AIO], f"{who}, CPU time, times aiolimiter's", " x"))
    _, callers, _ = crowd(by_ours(500, 1), lambda number: "hog" if number < HOG else f"t{number}")
    share = sum(number < HOG for number in callers) / len(callers)
    table.goals.append(
        at_most(10, 1.2, share * (CROWD - HOG + 1), f"a tenant with {HOG} of {CROWD} waiters, times its share", " x")
    )
    return table


if __name__ == "__main__":
    calls(uncontended()).publish()
    crowds().publish()
