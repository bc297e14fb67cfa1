"""What a plugin gets in a test in place of the core's services."""

from __future__ import annotations

import logging
import random
from collections import Counter

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock


class FakeServices:
    """A `Services` that can be repeated, and that remembers what it was asked for.

    Args:
        clock: The time: a `SimLoop` is one, in which time is virtual. Left out: the computer's.
        seed: Makes the randomness; one seed gives the same numbers again.
        name: Of the plugin, for its log.

    Attributes:
        asked: How often each of "clock", "random", "log" and "epoch" was asked for.
        epochs: The connection generations that were given out: 1, 2, 3 and so on.
        records: What was logged; it goes nowhere else.
    """

    def __init__(self, clock: Clock | None = None, *, seed: int = 0, name: str = "plugin") -> None:
        self.asked: Counter[str] = Counter()
        self.epochs: list[int] = []
        self.records: list[logging.LogRecord] = []
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


class _Keep(logging.Handler):
    """Appends records to a list."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
