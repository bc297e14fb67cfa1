"""Services for tests: what a plugin gets from the core, repeatable and recorded."""

from __future__ import annotations

import logging
import random
from itertools import count

import attrs

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock


@attrs.define
class FakeServices:
    """The `Services` of one plugin in a test: `FakeServices()` in real time, `FakeServices(loop)` in a simulated one.

    Epochs are 1, 2, 3 and so on, and randomness comes from `seed`, so that a run can be repeated.
    """

    clock: Clock = attrs.field(factory=SystemClock)
    seed: int = 0
    first_epoch: int = 1
    epochs: list[int] = attrs.field(factory=list, init=False)
    """The epochs that were given out."""
    random: random.Random = attrs.field(init=False)
    log: logging.Logger = attrs.field(init=False)
    _numbers: count[int] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 (to be repeated, no secret)
        self.log = logging.getLogger("market_data_pipeline.plugin.test")
        self._numbers = count(self.first_epoch)

    def epoch(self) -> int:
        """Return a new connection generation."""
        self.epochs.append(next(self._numbers))
        return self.epochs[-1]
