"""Who is next: start-time fair over tenants, within a tenant over priorities, first come first served among equals.

Each tenant, and each priority within it, carries a virtual time that grows by cost / weight when something of it goes
out; the one that is furthest behind comes next. Who was away joins at the time of who was served last, so that nobody
saves up. (Start-time fair queueing, Goyal, Vin and Cheng 1996, with the tag set when it is served: who leaves has cost
nothing.)

Calls that take from the same meters form a lane. Each lane of a tenant and priority is a line of its own, so that one
that must wait does not hold up another that need not.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import attrs

from market_data_pipeline.pacing.store import NOT_BACK, Place


class Waiting(Protocol):
    """What stands in the queue."""

    tenant: str
    priority: int
    """0 to 9; each step doubles the share among the tenant's own."""
    cost: int
    seq: int
    """The order of arrival."""
    place: Place
    """Where it stands in the fair order; set when it is asked for."""
    back: Place
    """Where its line comes next if it is the last that is asked for."""
    cell: Any
    """Its place in line; the queue's own."""

    @property
    def lane(self) -> str:
        """Those of one lane take from the same meters."""
        ...


W = TypeVar("W", bound=Waiting)
_Key: TypeAlias = tuple[str, int, str]
_ALONE: Final[Place] = (0.0, 0.0)


@attrs.define(eq=False)
class _Share:
    """The virtual time of a tenant, or of a priority of one; of a tenant also the time of its priority served last."""

    weight: float
    time: float
    now: float = 0.0
    lines: int = 0
    """How many lines it has; none: it is away."""


class _Line:
    """The waiters of one tenant, priority and lane, by arrival.

    Each has a cell: its arrival, the number of the push, the line, and the waiter itself, or None when it has left.
    """

    __slots__ = ("cells", "key", "live", "share", "tenant")

    def __init__(self, key: _Key, tenant: _Share, share: _Share) -> None:
        self.key = key
        self.tenant = tenant
        self.share = share
        self.cells: deque[list[Any]] = deque()
        self.live = 0

    def add(self, cell: list[Any]) -> None:
        if self.cells and cell < self.cells[-1]:  # it waited apart meanwhile
            insort(self.cells, cell)
        else:
            self.cells.append(cell)
        self.live += 1

    def leave(self, cell: list[Any]) -> None:
        cell[-1] = None
        self.live -= 1
        while self.cells and self.cells[0][-1] is None:
            self.cells.popleft()
        if len(self.cells) > 2 * self.live + 8:
            self.cells = deque(cell for cell in self.cells if cell[-1] is not None)

    def first(self, many: int) -> list[Any]:
        return list(islice((waiter for *_, waiter in self.cells if waiter is not None), many))


class FairQueue(Generic[W]):
    """Waiters, and the order in which they come next.

    Args:
        weight_of: Returns the weight of a tenant, above 0.

    Attributes:
        live: How many wait.
    """

    def __init__(self, weight_of: Callable[[str], float] = lambda _tenant: 1.0) -> None:
        self._weight_of = weight_of
        self._lines: dict[_Key, _Line] = {}
        self._tenants: dict[str, _Share] = {}
        self._priorities: dict[tuple[str, int], _Share] = {}
        self._here = 0  # how many tenants are not away
        self._now = 0.0  # the virtual time of the tenant served last
        self.live: int = 0
        self._pushed = count()

    def __iter__(self) -> Iterator[W]:
        """Yield all who wait, in no order; the queue may change while this is read."""
        cells = [cell for line in self._lines.values() for cell in line.cells]
        return (cell[-1] for cell in cells if cell[-1] is not None)

    def push(self, waiter: W) -> W:
        """Let a waiter stand in line, by its order of arrival.

        Returns:
            The first of that line.
        """
        key = waiter.tenant, waiter.priority, waiter.lane
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(key, *self._join(waiter))
        waiter.cell = [waiter.seq, next(self._pushed), line, waiter]
        line.add(waiter.cell)
        self.live += 1
        first: W = line.cells[0][-1]
        return first

    def leave(self, waiter: W) -> None:
        """Take a waiter out, if it stands in line."""
        if waiter.cell is None:
            return
        line: _Line = waiter.cell[2]
        line.leave(waiter.cell)
        waiter.cell = None
        self.live -= 1
        if not line.live:
            del self._lines[line.key]
            line.tenant.lines -= 1
            line.share.lines -= 1
            self._here -= not line.tenant.lines

    def serve(self, waiter: W) -> None:
        """Take out a waiter that goes out, and charge its tenant and priority for it."""
        line: _Line = waiter.cell[2]
        tenant, share = line.tenant, line.share
        self._now = max(self._now, tenant.time)
        tenant.now = max(tenant.now, share.time)
        tenant.time += waiter.cost / tenant.weight
        share.time += waiter.cost / share.weight
        self.leave(waiter)

    def order(self, depth: int) -> Iterator[W]:
        """Yield who comes next, as if each of them went out, with its place; of each line `depth` at most.

        The last of each line gets to know where the line comes next. The queue may change while this is read.
        """
        if len(self._lines) == 1:
            (line,) = self._lines.values()
            waiters = line.first(depth)
            for waiter in waiters:
                waiter.place, waiter.back = _ALONE, NOT_BACK
            waiters[-1].back = _ALONE
            yield from waiters
            return
        times = {share: share.time for line in self._lines.values() for share in (line.tenant, line.share)}
        heap = []
        for line in self._lines.values():
            waiters = line.first(depth)[::-1]
            heap.append(((line.tenant.time, line.share.time), waiters[-1].seq, waiters, line))
        heapq.heapify(heap)
        while heap:
            place, _, waiters, line = heap[0]
            tenant, share = line.tenant, line.share
            if (times[tenant], times[share]) == place:
                waiter = waiters.pop()
                times[tenant] += waiter.cost / tenant.weight
                times[share] += waiter.cost / share.weight
                waiter.place = place
                waiter.back = NOT_BACK if waiters else (times[tenant], times[share])
                yield waiter
            if waiters:
                heapq.heapreplace(heap, ((times[tenant], times[share]), waiters[-1].seq, waiters, line))
            else:
                heapq.heappop(heap)

    def _join(self, waiter: W) -> tuple[_Share, _Share]:
        """Let a tenant and a priority that were away come back no earlier than who was served last; return both."""
        if len(self._tenants) > 2 * self._here + 16:
            self._forget()
        tenant = self._tenants.get(waiter.tenant)
        if tenant is None:
            tenant = self._tenants[waiter.tenant] = _Share(self._weight_of(waiter.tenant), self._now)
        elif not tenant.lines:
            tenant.time = max(tenant.time, self._now)
        key = waiter.tenant, waiter.priority
        share = self._priorities.get(key)
        if share is None:
            share = self._priorities[key] = _Share(2.0**waiter.priority, tenant.now)
        elif not share.lines:
            share.time = max(share.time, tenant.now)
        self._here += not tenant.lines
        tenant.lines += 1
        share.lines += 1
        return tenant, share

    def _forget(self) -> None:
        """Drop the tenants that would come back as if they were new; where nobody waits, that is all of them."""
        self._tenants = {
            name: share
            for name, share in self._tenants.items()
            if self._here and (share.lines or share.time > self._now)
        }
        self._priorities = {key: share for key, share in self._priorities.items() if key[0] in self._tenants}
