"""What happens to a circuit breaker, and how its listener is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class BreakerEvent:
    """Something that happened to a breaker: one for each transition, and one for each refused call."""

    kind: Literal["opened", "half_opened", "closed", "forced", "disabled", "rejected"]
    provider: str
    operation: str
    reason: str
    at_ns: int
    """When, monotonic ns."""
    generation: int
    """That which begins with it; of a refusal, the one that goes on."""
    calls: int
    """Calls in the window of the generation that ends; 0 if it had none."""
    failures: int
    """How many of these failed."""
    retry_after_ns: int | None
    """How long calls are refused from then on; 0: they are not; None: until somebody resets it."""


class BreakerEvents:
    """Tells a listener what happened, in order, and never from within a transition.

    Attributes:
        busy: The listener is being told: what it does to the breaker now is told when it returns.
        errors: How often it raised an exception.
    """

    def __init__(self, listener: Callable[[BreakerEvent], None]) -> None:
        self.busy: bool = False
        self.errors: int = 0
        self._listener = listener
        self._queue: deque[BreakerEvent] = deque()

    def add(self, event: BreakerEvent) -> None:
        """Keep an event for `deliver`."""
        self._queue.append(event)

    def deliver(self) -> None:
        """Tell what is kept; where the listener is being told already, that goes on with it."""
        if self.busy:
            return
        self.busy = True
        try:
            while self._queue:
                self._tell(self._queue.popleft())
        finally:
            self.busy = False

    def _tell(self, event: BreakerEvent) -> None:
        try:
            self._listener(event)
        except Exception:  # noqa: BLE001 (foreign code, and nothing of it may reach the caller)
            self.errors += 1
