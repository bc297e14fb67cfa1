"""The supervisor: one task that owns all others, started and ended from whatever task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Literal, TypeVar

import anyio
import anyio.abc

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.source.guard import FOREIGN

T = TypeVar("T")


class _Call(Generic[T]):
    """Work that somebody waits for."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self.done = anyio.Event()
        self.answers: list[T] = []
        self.error: BaseException | None = None
        self._work = work
        self._scope = anyio.CancelScope()

    def end(self) -> None:
        self._scope.cancel()

    async def run(self) -> None:
        try:
            with self._scope:
                self.answers.append(await self._work())
        except FOREIGN as error:
            self.error = error
        finally:
            self.done.set()


class Supervisor:
    """Holds a task group in a task of its own, so that neither cancellation nor a crash of one user reaches another.

    Attributes:
        state: "new", "running" or "closed".
    """

    def __init__(
        self,
        owner: str,
        *,
        closing: Callable[[], None],
        ended: Callable[[], None] = lambda: None,
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Prepare it; nothing runs yet.

        Args:
            owner: The class it is for, for messages.
            closing: Told when the end begins: asks what runs to end.
            ended: Told when all has ended: asks `beside` to end.
            beside: Runs beside all else, and until all else has ended.
        """
        self.state: Literal["new", "running", "closed"] = "new"
        self._owner = owner
        self._on_closing = closing
        self._on_end = ended
        self._beside = beside
        self._closing = anyio.Event()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None
        self._calls: set[_Call[Any]] = set()

    async def start(self) -> None:
        """Start the task.

        Raises:
            ConfigurationError: It was started before.
        """
        if self.state != "new":
            raise ConfigurationError(f"this {self._owner} is {self.state}: make a new one")
        self.state = "running"
        ready = anyio.Event()
        self._task = asyncio.create_task(self._run(ready), name=f"{self._owner} supervisor")
        try:
            await ready.wait()
        except BaseException:
            self._closing.set()
            raise

    async def stop(self) -> None:
        """Ask all that runs to end, and return when it has. Idempotent.

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

    @property
    def tasks(self) -> anyio.abc.TaskGroup:
        """Where work is started.

        Raises:
            ConfigurationError: It is not running.
        """
        if self.state != "running" or self._tasks is None:
            raise ConfigurationError(
                f"this {self._owner} is {self.state}: use it inside `async with {self._owner}() as …`"
            )
        return self._tasks

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run something in the supervisor's own task group; when the caller is cancelled, so is that.

        Returns:
            What it returns.

        Raises:
            ConfigurationError: It is not running, or ended before the answer came.
            BaseException: What it raises.
        """
        call = _Call(work)
        self.tasks.start_soon(call.run)
        self._calls.add(call)
        try:
            await call.done.wait()
        except BaseException:
            call.end()
            raise
        finally:
            self._calls.discard(call)
        if call.error is not None:
            raise call.error
        if not call.answers:
            raise ConfigurationError(f"this {self._owner} was closed before the answer came: ask again in a new one")
        return call.answers[0]

    async def _run(self, ready: anyio.Event) -> None:
        async with anyio.create_task_group() as outer:
            if self._beside is not None:
                outer.start_soon(self._beside)
            try:
                await self._own(ready)
            finally:
                self.state = "closed"  # also where the loop ended it
                self._on_end()

    async def _own(self, ready: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            ready.set()
            await self._closing.wait()
            for call in self._calls:
                call.end()
            self._on_closing()
