"""What a plugin gets in a test in place of the core's services."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock
from market_data_pipeline.errors import CapacityExceeded


@attrs.define(kw_only=True)
class FakeCall:
    """One `Services.call`, and how it ended."""

    operation: str
    cost: int
    keys: Mapping[str, str]
    priority: int
    deadline: int | None
    attempt: int
    ended: bool = False
    error: BaseException | None = None
    """What was raised in its block."""


class FakeServices:
    """A `Services` that can be repeated, and that remembers what it was asked for.

    Args:
        clock: The time: a `SimLoop` is one, in which time is virtual. Left out: the computer's.
        seed: Makes the randomness; one seed gives the same numbers again.
        name: Of the plugin, for its log.
        limits: How much of each resource there is to lease; of one that is not named there is enough.

    Attributes:
        asked: How often each of "clock", "random", "log" and "epoch" was asked for.
        epochs: The connection generations that were given out: 1, 2, 3 and so on.
        records: What was logged; it goes nowhere else.
        calls: Each `call`, in order; all may go out at once.
        held: How much of each resource is leased now.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        seed: int = 0,
        name: str = "plugin",
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self.asked: Counter[str] = Counter()
        self.epochs: list[int] = []
        self.records: list[logging.LogRecord] = []
        self.calls: list[FakeCall] = []
        self.held: Counter[str] = Counter()
        self._limits = dict(limits or {})
        self._clock: Clock = clock or SystemClock()
        self._random = random.Random(seed)  # noqa: S311 (jitter, no secret)
        self._log = logging.Logger(  # noqa: LOG001 (it belongs to nobody else)
            f"market_data_pipeline.plugin.{name}", logging.DEBUG
        )
        self._log.addHandler(_Keep(self.records))

    @property
    def clock(self) -> Clock:
        """The time."""
        self.asked["clock"] += 1
        return self._clock

    @property
    def random(self) -> random.Random:
        """Seeded randomness."""
        self.asked["random"] += 1
        return self._random

    @property
    def log(self) -> logging.Logger:
        """A logger of its own, whose records are kept."""
        self.asked["log"] += 1
        return self._log

    def epoch(self) -> int:
        """Return a new connection generation: one more than the last."""
        self.asked["epoch"] += 1
        self.epochs.append(len(self.epochs) + 1)
        return self.epochs[-1]

    @asynccontextmanager
    async def call(
        self,
        operation: str,
        *,
        cost: int = 1,
        keys: Mapping[str, str] | None = None,
        priority: int = 5,
        deadline: int | None = None,
        attempt: int = 1,
    ) -> AsyncIterator[None]:
        """Let a request out at once, and remember it and how it ends."""
        call = FakeCall(
            operation=operation, cost=cost, keys=keys or {}, priority=priority, deadline=deadline, attempt=attempt
        )
        self.calls.append(call)
        try:
            yield
        except BaseException as error:
            call.error = error
            raise
        finally:
            call.ended = True

    @asynccontextmanager
    async def lease(
        self,
        resource: str,
        n: int = 1,
        *,
        deadline: int | None = None,  # noqa: ARG002 (nobody waits here)
    ) -> AsyncIterator[None]:
        """Count what is held while the block lasts.

        Raises:
            CapacityExceeded: There is not so much left.
        """
        if self.held[resource] + n > self._limits.get(resource, self.held[resource] + n):
            raise CapacityExceeded(
                f"{n} more of {resource} are not free: {self.held[resource]} of {self._limits[resource]} are in use"
            )
        self.held[resource] += n
        try:
            yield
        finally:
            self.held[resource] -= n


class _Keep(logging.Handler):
    """Appends records to a list."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
