"""What most operators have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

from market_data_pipeline.contracts import Outcome
from market_data_pipeline.model import Batch, ControlEvent, Kind, Row


class BaseOperator(ABC):
    """An `Operator` that takes every kind, passes control events on and keeps nothing: override what differs.

    Attributes:
        accepts: The kinds of rows that it takes.
        stateless: True: one row's result depends on that row alone, so that a row it cannot take is put aside.
    """

    accepts: frozenset[Kind] = frozenset({"quote", "trade", "bar"})
    stateless: bool = False

    @abstractmethod
    def on_batch(self, batch: Batch[Row]) -> Outcome:
        """Take rows of an accepted kind, and account for each of them."""

    def on_control(self, event: ControlEvent) -> Outcome:
        """Pass the event on."""
        return Outcome(items=(event,))

    def finish(self) -> Outcome:
        """Give out nothing: nothing is held."""
        return Outcome()

    def snapshot(self) -> bytes:
        """Return an empty state."""
        return b""

    def restore(self, state: bytes) -> None:  # noqa: B027 - most operators have no state
        """Take over an empty state."""
