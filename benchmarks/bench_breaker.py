"""What a closed circuit breaker adds to a call, beside aiobreaker, circuitbreaker and purgatory.

Each is used as its documentation shows. The peers count failures in a row; ours also keeps a window of outcomes, for
which it needs the time, once for all calls of a batch.
"""

import asyncio
import time

from aiobreaker import CircuitBreaker as AioBreaker
from circuitbreaker import CircuitBreaker as Circuit
from purgatory import AsyncCircuitBreakerFactory
from ratio import measure
from results import at_least, at_most, timed

from market_data_pipeline.breaking import CircuitBreaker

CALLS = 50_000
HANDED = "ours, the time handed over"


async def call():
    """Do nothing."""


async def bare():
    for _ in range(CALLS):
        await call()


async def handed():
    breaker, now = CircuitBreaker(), time.monotonic_ns()
    breaker.acquire().succeed()
    for _ in range(CALLS):
        permit = breaker.acquire()
        await call()
        permit.succeed(now)


async def own():
    breaker = CircuitBreaker()
    for _ in range(CALLS):
        permit = breaker.acquire()
        await call()
        permit.succeed()


async def block():
    breaker = CircuitBreaker()
    for _ in range(CALLS):
        with breaker.guard():
            await call()


async def by_aiobreaker():
    guarded = AioBreaker(fail_max=5)(call)
    for _ in range(CALLS):
        await guarded()


async def by_circuitbreaker():
    guarded = Circuit(failure_threshold=5)(call)
    for _ in range(CALLS):
        await guarded()


async def by_purgatory():
    factory = AsyncCircuitBreakerFactory()
    for _ in range(CALLS):
        async with await factory.get_breaker("bench"):
            await call()


async def by_purgatory_kept():
    breaker = await AsyncCircuitBreakerFactory().get_breaker("bench")
    for _ in range(CALLS):
        async with breaker:
            await call()


PROGRAMS = {
    "": bare,
    HANDED: handed,
    "ours, with its own clock": own,
    "ours, `with breaker.guard()`": block,
    "aiobreaker": by_aiobreaker,
    "circuitbreaker": by_circuitbreaker,
    "purgatory": by_purgatory,
    "purgatory, its block kept for all calls": by_purgatory_kept,
}

if __name__ == "__main__":
    with asyncio.Runner() as runner:
        spent = measure({name: lambda program=program: runner.run(program()) for name, program in PROGRAMS.items()})
    floor = spent.pop("")
    added = {name: (cost - floor) / CALLS for name, cost in spent.items()}
    table = timed("breaker", "ns a call", added, HANDED)
    table.goals.append(at_most(12, 100, added[HANDED], "a closed breaker adds to a call", " ns"))
    for name in ("aiobreaker", "circuitbreaker", "purgatory"):
        faster = added[name] / added[HANDED]
        table.goals.append(at_least(12, 5, faster, f"a closed breaker, times as fast as {name}", " x"))
    table.publish()
