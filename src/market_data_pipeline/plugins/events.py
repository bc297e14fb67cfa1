"""Events to plugins: from one bounded queue, in threads of their own, so that no plugin holds up who publishes."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from threading import Thread
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from market_data_pipeline.plugins.guard import describe
from market_data_pipeline.plugins.lifecycle import LifecycleEvent, LifecycleState, Subject
from market_data_pipeline.plugins.record import PluginRecord

if TYPE_CHECKING:
    import asyncio

    from market_data_pipeline.contracts import Clock
    from market_data_pipeline.plugins.host import PluginHost
    from market_data_pipeline.plugins.registration import Registration

__all__ = ["HookEvents"]

CAPACITY: Final = 1_000
"""How many events wait."""

TIMEOUT: Final = 5.0
"""Seconds that one call of a hook may take."""

DRAIN: Final = 2.0
"""Seconds that what still waits at the end may take; a call that is running then has its own time."""

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


class HookEvents:
    """Tells loaded plugins what happens, by their hook `mdp_event`; a plugin's being loaded too.

    Its owner runs `run()` in a task, and calls `close()` to end that. All of it belongs to one event loop.

    Args:
        host: Whose plugins hear of it.
        clock: Stamps the events.
        capacity: How many events wait; of more, the oldest is dropped.
        timeout: Seconds that one call of a hook may take; a plugin that takes longer hears nothing more.
        drain: Seconds that what still waits at the end may take.
    """

    def __init__(
        self,
        host: PluginHost,
        clock: Clock,
        *,
        capacity: int = CAPACITY,
        timeout: float = TIMEOUT,
        drain: float = DRAIN,
    ) -> None:
        self._host = host
        self._clock = clock
        self._timeout = timeout
        self._drain = drain
        self._waiting: deque[LifecycleEvent] = deque(maxlen=capacity)
        self._closed = False
        self._wake: asyncio.Event | None = None
        self._dropped = 0
        self._failures: Counter[tuple[str, str, str]] = Counter()
        self._muted: set[str] = set()
        host.watch(self._plugin_changed)

    @property
    def dropped(self) -> int:
        """How many events nobody heard of, because too many waited or the end came."""
        return self._dropped

    @property
    def failures(self) -> Mapping[tuple[str, str, str], int]:
        """How often a hook raised, by plugin, subject and state."""
        return dict(self._failures)

    @property
    def muted(self) -> frozenset[str]:
        """The plugins that took too long, and hear nothing more."""
        return frozenset(self._muted)

    def publish(self, subject: Subject, name: str, state: LifecycleState, reason: str = "") -> None:
        """Tell that something changed: never waits, and does nothing where no loaded plugin listens."""
        if self._closed or not self._listeners():
            return
        if len(self._waiting) == self._waiting.maxlen:
            self._dropped += 1
        ts = self._clock.time_ns()
        self._waiting.append(LifecycleEvent(subject=subject, name=name, state=state, ts=ts, reason=reason))
        if self._wake is not None:
            self._wake.set()

    async def run(self) -> None:
        """Call the hooks, event by event, until `close()`; what waits then has `drain` seconds."""
        import asyncio

        import anyio

        self._wake = asyncio.Event()
        try:
            while not self._closed:
                if self._waiting:
                    await self._deliver(self._waiting.popleft())
                else:
                    await self._wake.wait()
                    self._wake.clear()
            with anyio.move_on_after(self._drain):
                while self._waiting:
                    await self._deliver(self._waiting.popleft())
        finally:
            self.close()
            self._dropped += len(self._waiting)
            self._waiting.clear()

    def close(self) -> None:
        """Take no more events, and let `run()` end. Idempotent."""
        self._closed = True
        self._host.unwatch(self._plugin_changed)
        if self._wake is not None:
            self._wake.set()

    def _listeners(self) -> list[Registration]:
        return [one for one in self._host.registrations() if one.hears_events and one.plugin not in self._muted]

    def _plugin_changed(self, record: PluginRecord) -> None:
        self.publish("plugin", record.name, "failed" if record.exception else "loaded", record.cause)

    async def _deliver(self, event: LifecycleEvent) -> None:
        for plugin in self._listeners():
            await self._tell(plugin, event)

    async def _tell(self, plugin: Registration, event: LifecycleEvent) -> None:
        import asyncio

        call = asyncio.get_running_loop().run_in_executor(_Threads(), _outcome, plugin, event)
        try:
            await asyncio.wait({call}, timeout=self._timeout)
        finally:
            left = call.cancel()  # nobody asks what becomes of it then
        if left:
            self._muted.add(plugin.plugin)
            _log.error(
                "plugin %r: its hook mdp_event did not return within %g s (%s %s %s) and was left behind; the plugin"
                " hears nothing more",
                plugin.plugin,
                self._timeout,
                event.subject,
                event.name,
                event.state,
            )
        elif (error := call.result()) is not None:
            self._count(plugin.plugin, event, error)

    def _count(self, plugin: str, event: LifecycleEvent, error: BaseException) -> None:
        kind = (plugin, event.subject, event.state)
        self._failures[kind] += 1
        if self._failures[kind] == 1:
            _log.error(
                "plugin %r: its hook mdp_event raised %s (%s %s %s); later ones of this kind are only counted",
                plugin,
                describe(error),
                event.subject,
                event.name,
                event.state,
                exc_info=error,
            )


def _outcome(plugin: Registration, event: LifecycleEvent) -> BaseException | None:
    try:
        plugin.tell(event)
    except BaseException as error:  # noqa: BLE001 - in a thread of its own, also what would end the program
        return error
    return None


class _Threads(Executor):
    """A thread for each call, which the end of the program does not wait for."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call it in a thread.

        Returns:
            Its outcome.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from here on it cannot be cancelled, only left

        def call() -> None:
            future.set_result(fn(*args, **kwargs))

        Thread(target=call, name="mdp_event", daemon=True).start()
        return future
