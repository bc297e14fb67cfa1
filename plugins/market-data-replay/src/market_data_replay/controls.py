"""What a program can do to a replay while it plays: pause, resume and step."""

from __future__ import annotations

import anyio

from market_data_pipeline.contracts import Clock
from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import TimeLike, parse_time
from market_data_replay.formats.contract import BEGINNING


class Controls:
    """A replay's time, which stands still during a pause, and what it may play then.

    For use in the loop that the replay plays in.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lag = 0
        """How far the played time is behind the clock, ns."""
        self._stopped: int | None = None
        """The played time of the pause."""
        self._rows = 0
        self._until = BEGINNING
        self._changed = anyio.Event()
        self.ended = False
        """Whether nothing more is to be played."""

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._stopped is not None

    def now(self) -> int:
        """Return the played time, ns."""
        return self._clock.monotonic_ns() - self._lag if self._stopped is None else self._stopped

    def pause(self) -> None:
        """Stand still. Idempotent; what was handed out already is on its way."""
        if self._stopped is None:
            self._stopped = self.now()
            self._notify()

    def resume(self) -> None:
        """Go on from where it stands, at the same speed. Idempotent."""
        if self._stopped is not None:
            self._lag = self._clock.monotonic_ns() - self._stopped
            self._stopped = None
            self._rows, self._until = 0, BEGINNING
            self._notify()

    def step(self, rows: int | None = None, *, until: TimeLike | None = None) -> None:
        """Play some rows at once, and pause again: so many (one, if nothing is said), or all before a time.

        Raises:
            InvalidRequest: Not a positive number of rows, or rows and a time.
            ConfigurationError: `until` is not a time.
        """
        if rows is not None and (until is not None or rows < 1):
            raise InvalidRequest("a step is of one row or more, or until a time", source="replay")
        self.pause()
        if until is None:
            self._rows += rows or 1
        else:
            self._until = max(self._until, parse_time(until))
        self._notify()

    def end(self) -> None:
        """Play nothing more, whatever is due."""
        self.ended = True
        self._notify()

    def allowed(self, times: list[int], start: int) -> int:
        """Return up to which row a step goes, given rows' times, which do not fall, and the first one that waits."""
        stop = min(start + self._rows, len(times))
        while stop < len(times) and times[stop] < self._until:
            stop += 1
        return stop

    def stepped(self, rows: int, due: int) -> None:
        """Note that rows of a step are played; the played time is that of the last one."""
        self._rows = max(0, self._rows - rows)
        self._stopped = max(self.now(), due)

    async def wait(self, due: int | None = None) -> None:
        """Wait until something changes, or the played time is `due`."""
        changed = self._changed
        if due is None:
            await changed.wait()
            return
        async with anyio.create_task_group() as group:

            async def wake() -> None:
                await changed.wait()
                group.cancel_scope.cancel()

            group.start_soon(wake)
            await self._clock.sleep_until(due + self._lag)
            group.cancel_scope.cancel()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
