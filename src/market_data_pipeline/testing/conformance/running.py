"""The loop of one check: its own, bounded, and left without a trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.testing.services import FakeServices
from market_data_pipeline.testing.simloop import SimLoop, where

T = TypeVar("T")

GRACE = 2.0
"""Seconds that tasks have to end after their cancellation."""
TURNS = 100_000
"""So often a virtual loop may turn before its time has to move."""


class RestlessError(AssertionError):
    """A virtual loop turns and turns, and nothing waits for time."""


class _VirtualLoop(SimLoop):
    """A `SimLoop` that notices when its time will never move: then no time limit would end it."""

    _moved: tuple[int, int] = (0, 0)
    """When the time moved last, and in which turn."""

    def _run_once(self) -> None:
        super()._run_once()
        now, moved = self.monotonic_ns(), self._moved
        if now != moved[0]:
            self._moved = now, self.ticks
        elif self.ticks - moved[1] > TURNS:
            raise RestlessError(
                f"the loop turned {TURNS:,} times and nothing waited: never catch CancelledError without raising it, "
                "and wait for data, not with sleep(0); for more rows than that, do not set `virtual`"
            )


def run(program: Callable[[FakeServices], Coroutine[Any, Any, T]], *, virtual: bool, limit: float) -> T:
    """Run a check in a loop of its own, for at most `limit` seconds of that loop.

    What is still there then is cancelled, and left behind after two seconds.

    Returns:
        What the program returns.

    Raises:
        AssertionError: It did not end in time, or would never do so.
    """
    loop: asyncio.AbstractEventLoop = _VirtualLoop() if virtual else asyncio.new_event_loop()
    services = FakeServices(loop if isinstance(loop, SimLoop) else SystemClock())
    try:
        return loop.run_until_complete(_bounded(program(services), limit))
    finally:
        try:
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
