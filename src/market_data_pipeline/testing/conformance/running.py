"""The loop of one check: its own, bounded, and left without a trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.testing.services import FakeServices
from market_data_pipeline.testing.simloop import MOST_TURNS, LivelockError, SimLoop, where

T = TypeVar("T")

GRACE = 2.0
"""Seconds that tasks have to end after their cancellation."""


def run(program: Callable[[FakeServices], Coroutine[Any, Any, T]], *, virtual: bool, limit: float) -> T:
    """Run a check in a loop of its own, for at most `limit` seconds of that loop.

    What is still there then is cancelled, and left behind after two seconds.

    Returns:
        What the program returns.

    Raises:
        AssertionError: It did not end in time, or would never do so.
    """
    loop: asyncio.AbstractEventLoop = SimLoop() if virtual else asyncio.new_event_loop()
    services = FakeServices(loop if isinstance(loop, SimLoop) else SystemClock())
    try:
        return loop.run_until_complete(_bounded(program(services), limit))
    except LivelockError:
        raise AssertionError(
            f"the loop turned {MOST_TURNS:,} times and nothing waited: never catch CancelledError without raising it, "
            "and wait for data, not with sleep(0); for more rows than that, do not set `virtual`"
        ) from None
    finally:
        try:
            with suppress(LivelockError):
                loop.run_until_complete(_end(asyncio.all_tasks(loop)))
                loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


async def _bounded(work: Coroutine[Any, Any, T], limit: float) -> T:
    task = asyncio.create_task(work, name="conformance check")
    await asyncio.wait({task}, timeout=limit)
    if task.done():
        return task.result()
    place = where(task.get_coro())
    await _end({task})
    raise AssertionError(
        f"the check did not end within {limit:g} s, it waits in {place}: every await of a plugin has to end with its "
        "data, an error, close() or a cancellation; where the vendor is only slow, raise the suite's `limit`"
    )


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=GRACE)
