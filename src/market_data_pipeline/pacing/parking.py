"""Who waits apart: for a meter that counts by key, so that the calls behind it, with other keys, need not wait too."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from market_data_pipeline.pacing.meters import NEVER
from market_data_pipeline.pacing.store import Slot
from market_data_pipeline.pacing.waiter import Waiter


class Parking:
    """Waiters by the meter that holds them up, those of one meter by arrival.

    Attributes:
        count: How many there are.
    """

    def __init__(self) -> None:
        self.count: int = 0
        self._waiters: dict[str, dict[int, Waiter]] = {}
        self._due: list[tuple[int, str]] = []  # when those of a meter may go on: a heap; some entries are out of date

    def __iter__(self) -> Iterator[Waiter]:
        """Yield all of them, in no order."""
        return (waiter for waiters in self._waiters.values() for waiter in waiters.values())

    def first(self, slots: Iterable[Slot]) -> Waiter | None:
        """Return the first of those who wait for a meter of these slots: nobody goes before it."""
        for slot in slots:
            if waiters := self._waiters.get(slot.key):
                return next(iter(waiters.values()))
        return None

    def add(self, waiter: Waiter, key: str, until: int = NEVER) -> None:
        """Let a waiter wait for a meter, until a time if that is known, ns."""
        self._waiters.setdefault(key, {})[waiter.seq] = waiter
        self.count += 1
        waiter.parked = key
        if until < NEVER:
            heapq.heappush(self._due, (until, key))

    def leave(self, waiter: Waiter) -> None:
        """Take one out that is here."""
        key, waiter.parked = waiter.parked or "", None
        waiters = self._waiters[key]
        del waiters[waiter.seq]
        if not waiters:
            del self._waiters[key]
        self.count -= 1

    def take(self, keys: Iterable[str]) -> list[Waiter]:
        """Take all out who wait for these meters."""
        taken = [waiter for key in keys for waiter in self._waiters.pop(key, {}).values()]
        for waiter in taken:
            waiter.parked = None
        self.count -= len(taken)
        return taken

    def take_all(self) -> list[Waiter]:
        """Take all out."""
        return self.take(list(self._waiters))

    def take_due(self, now: int) -> list[Waiter]:
        """Take all out whose time has come."""
        taken: list[Waiter] = []
        while self._due and self._due[0][0] <= now:
            taken += self.take([heapq.heappop(self._due)[1]])
        return taken

    def take_undated(self) -> list[Waiter]:
        """Take all out who wait until something is given back."""
        firsts = {key: next(iter(waiters.values())) for key, waiters in self._waiters.items()}
        return self.take([key for key, first in firsts.items() if first.verdict.until == NEVER])

    def next_due(self) -> int:
        """Return when the first may go on, ns; `NEVER`: that is not known of any."""
        while self._due and self._due[0][1] not in self._waiters:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else NEVER
