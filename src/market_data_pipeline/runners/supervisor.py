"""The task that owns all others of a runtime or service, so that they live in no user's task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Literal, TypeVar, TypeVarTuple

import anyio

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.source.guard import FOREIGN

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LifeState = Literal["new", "running", "closed"]


class Supervisor:
    """A task group in a task of its own; starting, stopping and using it work from any task of one event loop.

    Attributes:
        state: Whether it runs.
    """

    def __init__(self, what: str, use: str, on_stop: Callable[[], None]) -> None:
        """Prepare it.

        Args:
            what: Whose it is, for messages: "runtime".
            use: How that is used, for messages: "async with PipelineRuntime() as runtime".
            on_stop: Asks all that runs to end, soon; it is waited for.
        """
        self.state: LifeState = "new"
        self._what = what
        self._use = use
        self._on_stop = on_stop
        self._calls: set[_Call[Any]] = set()
        self._closing = anyio.Event()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the task.

        Raises:
            ConfigurationError: It was started before.
        """
        if self.state != "new":
            raise ConfigurationError(f"this {self._what} is {self.state}: make a new one")
        self.state = "running"
        ready = anyio.Event()
        self._task = asyncio.create_task(self._supervise(ready), name=f"market-data-pipeline {self._what}")
        try:
            await ready.wait()
        except BaseException:
            self._closing.set()
            raise

    async def stop(self) -> None:
        """Ask all to end and wait until it has. Idempotent.

        A cancel scope around it does not cut that short; a task that is cancelled meanwhile ends everything at once.

        Raises:
            CancelledError: The task was cancelled.
        """
        self.state = "closed"
        self._closing.set()
        if self._task is None:
            return
        with anyio.CancelScope(shield=True):
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                if self._tasks is not None:
                    self._tasks.cancel_scope.cancel()
                raise

    def check(self) -> anyio.abc.TaskGroup:
        """Return the task group.

        Raises:
            ConfigurationError: It does not run.
        """
        if self.state != "running" or self._tasks is None:
            raise ConfigurationError(f"this {self._what} is {self.state}: use it inside `{self._use}`")
        return self._tasks

    def start_soon(self, work: Callable[[*Ts], Coroutine[Any, Any, None]], *args: *Ts) -> None:
        """Run something that raises nothing; raises what `check` raises."""
        self.check().start_soon(work, *args)

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run something in the supervisor's care and wait for it: whoever is cancelled cancels it, and goes on.

        Returns:
            What it returns.

        Raises:
            ConfigurationError: It does not run, or was stopped meanwhile.
            BaseException: What it raises.
        """
        call = _Call(work)
        self.start_soon(call.run)
        self._calls.add(call)
        try:
            await call.done.wait()
        finally:
            call.stop()
            self._calls.discard(call)
        if call.error is not None:
            raise call.error
        if not call.results:
            raise ConfigurationError(f"this {self._what} was closed meanwhile")
        return call.results[0]

    async def _supervise(self, ready: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            ready.set()
            await self._closing.wait()
            self._on_stop()
            for call in self._calls:
                call.stop()


class _Call(Generic[T]):
    """One piece of work and what came of it."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.work = work
        self.done: anyio.Event = anyio.Event()
        self.results: list[T] = []
        self.error: BaseException | None = None
        self._scope: anyio.CancelScope = anyio.CancelScope()

    async def run(self) -> None:
        try:
            with self._scope:
                self.results.append(await self.work())
        except FOREIGN as error:
            self.error = error
        finally:
            self.done.set()

    def stop(self) -> None:
        self._scope.cancel()
