"""What a call has taken from a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from market_data_pipeline.pacing.store import Settlement, Slot

Settle: TypeAlias = Callable[[Settlement, Iterable[Slot]], None]


class Grant(msgspec.Struct, eq=False):
    """Leave to make one call, or to hold what was leased, until `release`."""

    _settle: Settle | None
    slots: tuple[Slot, ...]
    """What was taken."""
    at: int
    """When it was taken, ns of the store's clock."""

    def release(self) -> None:
        """Give back what is held; what counts as used up stays so. A second time changes nothing."""
        settle, self._settle = self._settle, None
        if settle and (held := [slot for slot in self.slots if slot.rule.kind == "concurrency"]):
            settle(_release, held)

    def refund(self) -> None:
        """Take all of it back: nothing went out. After `release` it changes nothing."""
        settle, self._settle = self._settle, None
        if settle:
            settle(self._refund, self.slots)

    def _refund(self, meter: Any, slot: Slot, _now: int) -> None:
        meter.refund(self.at, slot.cost)


def _release(meter: Any, slot: Slot, _now: int) -> None:
    meter.release(slot.cost)
