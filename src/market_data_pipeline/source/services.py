"""What the core gives to a plugin: clock, randomness, log and connection epochs."""

from __future__ import annotations

import logging
import random

import attrs

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock


@attrs.define
class Epochs:
    """Connection generations: microseconds of the wall clock, and always greater than the one before.

    So an epoch is new after a restart too, unless the clock was set back by more than the time in between.
    """

    _clock: Clock
    _last: int = 0

    def next(self) -> int:
        """Return a new epoch."""
        self._last = max(self._last + 1, self._clock.time_ns() // 1000)
        return self._last


@attrs.frozen
class CoreServices:
    """The `Services` of one plugin."""

    clock: Clock
    random: random.Random
    log: logging.Logger
    _epochs: Epochs

    def epoch(self) -> int:
        """Return a new connection generation."""
        return self._epochs.next()


@attrs.frozen
class ServiceFactory:
    """Makes the services of each plugin of one process; they share the clock and the epochs."""

    clock: Clock = attrs.field(factory=SystemClock)
    seed: int | None = None
    """Makes every plugin's randomness repeatable."""
    _epochs: Epochs = attrs.field(default=attrs.Factory(lambda self: Epochs(self.clock), takes_self=True))

    def of(self, plugin: str) -> CoreServices:
        """Return services under the name of `plugin`."""
        seed = None if self.seed is None else f"{self.seed}:{plugin}"
        log = logging.getLogger(f"market_data_pipeline.plugin.{plugin}")
        return CoreServices(self.clock, random.Random(seed), log, self._epochs)  # noqa: S311 - jitter, no secret
