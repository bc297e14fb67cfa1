"""How long the steps of tasks take: from one await that waits to the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any

import attrs


@attrs.define
class Steps:
    """The longest step so far."""

    longest_ns: int = 0
    name: str = ""

    def take(self, name: str, nanos: int) -> None:
        """Count a step."""
        if nanos > self.longest_ns:
            self.longest_ns, self.name = nanos, name


class TimedCoroutine(Coroutine[Any, Any, Any]):
    """A coroutine whose steps are timed; all else of it is as it was."""

    def __init__(self, coro: Coroutine[Any, Any, Any], steps: Steps, timer: Callable[[], int]) -> None:
        self._coro = coro
        self._steps = steps
        self._timer = timer

    def send(self, value: Any) -> Any:
        """Run one step."""
        return self._timed(self._coro.send, value)

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> Any:
        """Run one step that begins with an exception."""
        error = typ if val is None and tb is None else (val or typ()).with_traceback(tb)
        return self._timed(self._coro.throw, error)

    def close(self) -> None:
        """End it."""
        self._coro.close()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._coro.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)

    def _timed(self, step: Callable[[Any], Any], value: Any) -> Any:
        begin = self._timer()
        try:
            return step(value)
        finally:
            self._steps.take(getattr(self._coro, "__qualname__", repr(self._coro)), self._timer() - begin)


async def timed_tasks(work: Coroutine[Any, Any, None], *, timer: Callable[[], int] = time.perf_counter_ns) -> Steps:
    """Run a coroutine, and time the steps of its task and of all that begin meanwhile.

    Returns:
        Their longest.
    """
    steps = Steps()
    loop = asyncio.get_running_loop()
    usual = loop.get_task_factory()
    make: Any = usual or _plain_task

    def timed_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        return make(loop, TimedCoroutine(coro, steps, timer), **options)

    loop.set_task_factory(timed_task)
    try:
        await loop.create_task(work)
    finally:
        loop.set_task_factory(usual)
    return steps


def _plain_task(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, **options)
