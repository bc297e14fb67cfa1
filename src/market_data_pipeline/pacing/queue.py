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
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import attrs


class Waiting(Protocol):
    """What stands in the queue."""

    tenant: str
    priority: int
    """0 to 9; each step doubles the share among the tenant's own."""
    cost: int
    lane: str
    seq: int
    """The order of arrival."""
    cell: list[Any] | None
    """Its place; the queue's own."""


W = TypeVar("W", bound=Waiting)
_Key: TypeAlias = tuple[str, int, str]


@attrs.define(eq=False)
class _Share:
    """The virtual time of a tenant, or of a priority of one; of a tenant also the time of its priority served last."""

    weight: float
    time: float
    now: float = 0.0


class _Line:
    """The waiters of one tenant, priority and lane: a heap of [arrival, how manyth push, waiter or None if it left]."""

    __slots__ = ("cells", "live")

    def __init__(self) -> None:
        self.cells: list[list[Any]] = []
        self.live = 0

    def add(self, cell: list[Any]) -> None:
        heapq.heappush(self.cells, cell)
        self.live += 1

    def leave(self, cell: list[Any]) -> None:
        cell[-1] = None
        self.live -= 1
        while self.cells and self.cells[0][-1] is None:
            heapq.heappop(self.cells)
        if len(self.cells) > 2 * self.live + 8:
            self.cells = sorted(cell for cell in self.cells if cell[-1] is not None)

    def first(self, many: int) -> list[list[Any]]:
        if many == 1:
            return self.cells[:1]
        return heapq.nsmallest(many, (cell for cell in self.cells if cell[-1] is not None))


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
            self._join(waiter)
            line = self._lines[key] = _Line()
        waiter.cell = [waiter.seq, next(self._pushed), waiter]
        line.add(waiter.cell)
        self.live += 1
        first: W = line.cells[0][-1]
        return first

    def leave(self, waiter: W) -> None:
        """Take a waiter out, if it stands in line."""
        if waiter.cell is None:
            return
        key = waiter.tenant, waiter.priority, waiter.lane
        line = self._lines[key]
        line.leave(waiter.cell)
        waiter.cell = None
        self.live -= 1
        if not line.live:
            del self._lines[key]

    def charge(self, waiter: W) -> None:
        """Note that something of the waiter's tenant and priority goes out."""
        tenant = self._tenants[waiter.tenant]
        share = self._priorities[waiter.tenant, waiter.priority]
        self._now = max(self._now, tenant.time)
        tenant.now = max(tenant.now, share.time)
        tenant.time += waiter.cost / tenant.weight
        share.time += waiter.cost / share.weight

    def order(self, depth: int) -> Iterator[W]:
        """Yield who comes next, as if each of them went out; of each line `depth` at most.

        The queue may change while this is read.
        """
        if len(self._lines) == 1:
            (line,) = self._lines.values()
            yield from [waiter for *_, waiter in line.first(depth)]
            return
        times: dict[str | tuple[str, int], float] = {}
        heap = []
        for (tenant, priority, _), line in self._lines.items():
            times[tenant] = self._tenants[tenant].time
            times[tenant, priority] = self._priorities[tenant, priority].time
            waiters = [waiter for *_, waiter in reversed(line.first(depth))]
            heap.append((times[tenant], times[tenant, priority], waiters[-1].seq, waiters))
        heapq.heapify(heap)
        while heap:
            tenant_time, time, _, waiters = heap[0]
            tenant, priority = waiters[-1].tenant, waiters[-1].priority
            if (times[tenant], times[tenant, priority]) == (tenant_time, time):
                waiter = waiters.pop()
                times[tenant] += waiter.cost / self._tenants[tenant].weight
                times[tenant, priority] += waiter.cost / self._priorities[tenant, priority].weight
                yield waiter
            if waiters:
                heapq.heapreplace(heap, (times[tenant], times[tenant, priority], waiters[-1].seq, waiters))
            else:
                heapq.heappop(heap)

    def _join(self, waiter: W) -> None:
        """Let a tenant and a priority that were away come back no earlier than who was served last."""
        here = {tenant for tenant, _, _ in self._lines}
        if len(self._tenants) > 2 * len(here) + 16:
            self._forget(here)
        tenant = self._tenants.get(waiter.tenant)
        if tenant is None:
            tenant = self._tenants[waiter.tenant] = _Share(self._weight_of(waiter.tenant), self._now)
        elif waiter.tenant not in here:
            tenant.time = max(tenant.time, self._now)
        key = waiter.tenant, waiter.priority
        share = self._priorities.get(key)
        if share is None:
            self._priorities[key] = _Share(2.0**waiter.priority, tenant.now)
        elif not any(key == other[:2] for other in self._lines):
            share.time = max(share.time, tenant.now)

    def _forget(self, here: set[str]) -> None:
        """Drop the tenants that would come back as if they were new; where nobody waits, that is all of them."""
        self._tenants = {
            name: share for name, share in self._tenants.items() if here and (name in here or share.time > self._now)
        }
        self._priorities = {key: share for key, share in self._priorities.items() if key[0] in self._tenants}
