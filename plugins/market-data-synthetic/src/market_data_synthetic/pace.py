"""When a piece is due on the clock."""

from __future__ import annotations

from typing import Literal

import attrs

from market_data_pipeline.contracts import Clock


@attrs.define
class Pace:
    """A run's own time against the clock's, from the moment at which it is made."""

    clock: Clock
    speed: Literal["max"] | float
    anchor: int | None
    """The time of the run at that moment; None: that of the first piece."""
    _began: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock.monotonic_ns()

    def due(self, time: int) -> int:
        """Return when a time of the run is reached, monotonic ns."""
        if self.anchor is None:
            self.anchor = time
        return self._began + (0 if self.speed == "max" else round((time - self.anchor) / self.speed))

    def now(self) -> int:
        """Return the time of a run in real time."""
        return (self.anchor or 0) + self.clock.monotonic_ns() - self._began
