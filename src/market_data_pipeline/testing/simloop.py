"""An asyncio event loop with virtual time and a seeded schedule, to find races and to run a day in a second.

Time moves only when nothing can run. Whatever can run in one turn of the loop, timers that are due included, runs in an
order drawn from the seed: other seeds try other orders, one seed gives the same run again. A loop in which nothing can
ever run again is an error that shows where each task waits, and so is one in which time stands still.

It stands on private parts of asyncio's base loop (and of anyio's worker threads), which a test pins.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from math import inf
from typing import Any, Final, TypeVar, TypeVarTuple

from anyio._backends._asyncio import WorkerThread  # noqa: PLC2701 (nothing public tells a busy worker)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START_NS: Final = 1_767_225_600_000_000_000
"""The wall time at which a simulation begins: 2026-01-01, UTC."""

STEP_NS: Final = 100
"""The least that time moves: two float times that differ by less would make the loop spin."""


MOST_TURNS: Final = 100_000
"""How many turns may go by without the time moving on."""

FOREVER_NS: Final = 2**63 - 1
"""When a timer without an end is due, such as that of `anyio.sleep_forever`."""


class DeadlockError(RuntimeError):
    """Nothing can ever run again, and the program has not ended; the text shows where each task waits."""


class LivelockError(RuntimeError):
    """The program goes round and round, and does not let the time move on; the text shows where each task waits."""


class RankedTask(asyncio.Task[Any]):
    """A task that knows its place in the order of creation."""

    sim_rank: int


class SimLoop(asyncio.BaseEventLoop):
    """An event loop without a selector: it knows callbacks, timers and worker threads, and it is a `Clock`.

    Functions that are sent to a thread run to their end before time moves: those of `run_in_executor` and
    `asyncio.to_thread` in the loop itself, those of `anyio.to_thread` in their thread. A thread must not call back into
    the loop and wait for the answer: the loop waits for the thread. There are no sockets, subprocesses or signals.

    Attributes:
        ticks: Turns of the loop so far: what runs in one turn runs "at once", in the order of the seed.
        trace: A hash over each turn's time and which tasks ran in it, in order: the same seed gives the same trace.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _stopping: bool

    def __init__(self, seed: int = 0, *, start_ns: int = START_NS) -> None:
        super().__init__()
        self._random = random.Random(seed)  # noqa: S311 (a schedule, no secret)
        self._start = start_ns
        self._now = 0
        self._ranks = count(1)
        self._still = 0  # turns since the time has moved by more than a step
        self._ending = False
        self.ticks: int = 0
        self.trace: int = 0
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return the virtual time, seconds since the loop was made."""
        return self._now / 1e9

    def monotonic_ns(self) -> int:
        """Return the virtual time, int ns since the loop was made."""
        return self._now

    def time_ns(self) -> int:
        """Return the simulated wall time, int ns since the epoch, UTC: it moves with the virtual time."""
        return self._start + self._now

    def jump(self, step_ns: int) -> None:
        """Set the wall time forward, or back where the step is below 0, as operators, NTP and leap seconds do."""
        self._start += step_ns

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Sleep until `monotonic_ns()` is at least that; let other tasks run once if it is already."""
        await asyncio.sleep(max(0, monotonic_ns - self._now) / 1e9)

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002 (whichever it is, its work is done here)
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Run the function in one of the next turns, in this thread and in no virtual time.

        Returns:
            A future of its result.
        """
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 (it belongs to whoever awaits the future)
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_soon(run)
        return future

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **options: Any,
    ) -> RankedTask:
        task = RankedTask(coro, loop=loop, **options)
        task.sim_rank = next(self._ranks)
        return task

    def _run_once(self) -> None:
        """Run all that can run now, after moving the time if that is nothing."""
        self._join_workers()
        ready, timers = self._ready, self._scheduled
        while timers and timers[0].cancelled():
            heapq.heappop(timers)
        self._still += 1
        if self._still > MOST_TURNS:
            self._still = 0  # so many again, to end what is left
            raise LivelockError(self._dump(f"{MOST_TURNS} turns, and the time does not move on"))
        if not ready and not self._stopping:
            self._move_on()
        while timers and _due(timers[0]) <= self._now:
            ready.append(heapq.heappop(timers))
        handles = list(ready)
        if len(handles) > 1:
            handles.sort(key=_rank)  # sets of tasks made their order depend on memory addresses
            self._random.shuffle(handles)
            ready.clear()
            ready.extend(handles)
        if not self._ending:
            self.ticks += 1
            self.trace = hash((self.trace, self._now, *map(_rank, handles)))
        for _ in handles:
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001

    def _move_on(self) -> None:
        """Set the time to that of the first timer."""
        if not self._scheduled or (due := _due(self._scheduled[0])) == FOREVER_NS:
            raise DeadlockError(self._dump("nothing can run"))
        if due > self._now + STEP_NS:
            self._still = 0
        self._now = max(self._now + STEP_NS, due)

    async def shutdown_asyncgens(self) -> None:
        """Close the generators that are left, and trace nothing more: the garbage collector decides which these are."""
        self._ending = True
        await super().shutdown_asyncgens()

    def _write_to_self(self) -> None:
        """There is no selector to wake: `_join_workers` waits for the threads."""

    def _join_workers(self) -> None:
        """Wait until each of anyio's worker threads has done its work and reported it."""
        for worker in threading.enumerate():
            if isinstance(worker, WorkerThread) and worker.loop is self and not worker.stopping:
                vars(worker).setdefault("sim_rank", -next(self._ranks))
                worker.queue.join()

    def _dump(self, what: str) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        lines = [f"{task.get_name()} waits in {where(task.get_coro())}" for task in tasks]
        return "\n  ".join([f"{what} at {self.time():.9f} s, {len(tasks)} tasks wait:", *lines])


def simulate(program: Callable[[SimLoop], Coroutine[Any, Any, T]], *, seed: int = 0) -> T:
    """Run a coroutine function, which gets the loop as its clock, in a loop of its own.

    Returns:
        What the program returns.

    Raises:
        DeadlockError: Nothing can run any more.
        LivelockError: It does not let the time move on.
    """
    loop = SimLoop(seed)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(program(loop))


def _due(timer: asyncio.TimerHandle) -> int:
    return round(timer.when() * 1e9) if timer.when() < inf else FOREVER_NS


def _rank(handle: asyncio.Handle) -> int:
    """Order the callbacks of tasks and workers by their creation, others by their arrival, before the seed draws."""
    rank: int = getattr(getattr(handle._callback, "__self__", None), "sim_rank", 0)  # type: ignore[attr-defined]  # noqa: SLF001
    return rank


def where(awaited: Any) -> str:
    """Return the chain of functions, outermost first, that leads to what is awaited."""
    chain = []
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        chain.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}" if frame else type(awaited).__name__)
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return " > ".join(chain)
