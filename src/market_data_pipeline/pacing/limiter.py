"""The budget of one vendor account: who asks waits until all rules allow it, in fair order, as long as it wants to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from operator import attrgetter
from typing import Final

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock
from market_data_pipeline.contracts.budget import SECOND_NS, AnyRule
from market_data_pipeline.errors import ConfigurationError, DeadlineExceeded, Overloaded
from market_data_pipeline.pacing.dispatcher import Dispatcher
from market_data_pipeline.pacing.feedback import MAX_COOLDOWN_NS, Feedback
from market_data_pipeline.pacing.grant import Grant
from market_data_pipeline.pacing.routes import NO_KEYS, Routes
from market_data_pipeline.pacing.store import MemoryStore, Settlement, Slot, Store
from market_data_pipeline.pacing.usage import MOST_KEYS, Usage, see, usage_of
from market_data_pipeline.pacing.waiter import Waiter, Waits

MAX_WAITERS: Final = 10_000
"""How many may wait for one account, unless it is made otherwise."""

LONG_NS: Final = 60 * SECOND_NS
"""A deadline that was longer ago was hardly meant as one."""

MOST_URGENT: Final = 9
"""The highest priority; 0 is the lowest."""

_log = logging.getLogger("market_data_pipeline.pacing")


class Limiter:
    """Lets calls out as the rules of one account allow, and remembers what the vendor refused.

    Args:
        account: Whose budget it is, such as "ibkr" or "polygon/3f2a9c".
        rules: The budget; none: everything is allowed until the vendor refuses something.
        store: Where what was used is kept; left out: in this process.
        clock: The time; left out: the computer's.
        weight_of: Returns the weight of a tenant's share, above 0; left out: all are alike.
        max_waiters: How many may wait.
        adaptive: Whether refusals shrink the rate for a while.

    Raises:
        ConfigurationError: A rule cannot have its name or time, as `check_budget` says.
    """

    def __init__(
        self,
        account: str,
        rules: Sequence[AnyRule] = (),
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        weight_of: Callable[[str], float] = lambda _tenant: 1.0,
        max_waiters: int = MAX_WAITERS,
        adaptive: bool = True,
    ) -> None:
        self.account: str = account
        self._adaptive = adaptive
        self._routes = Routes(account, rules, adaptive=adaptive)
        store = store or MemoryStore()
        self._store: Store = store
        self._here = store if isinstance(store, MemoryStore) else None
        self._clock: Clock = clock or SystemClock()
        self._max_waiters = max_waiters
        self._dispatcher = Dispatcher(account, store, self._clock, settle=self.settle, weight_of=weight_of)
        self._rests: dict[str, int] = {}  # the ends of cooldowns, by scope
        self._seq = count()
        self._troubled = False

    @property
    def rules(self) -> tuple[AnyRule, ...]:
        """The budget."""
        return self._routes.rules

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._dispatcher)

    async def acquire(
        self,
        operation: str,
        *,
        cost: int = 1,
        keys: Mapping[str, str] = NO_KEYS,
        tenant: str = "",
        priority: int = 5,
        deadline: int | None = None,
        patient: bool = True,
    ) -> Grant:
        """Wait until a call may go out.

        Args:
            operation: What is called.
            cost: What it costs, at least 1.
            keys: What rules count by, such as the contract.
            tenant: Who wants it.
            priority: 0 to 9; each step doubles the share among the tenant's own.
            deadline: The time of the clock after which it is no use, ns; None: it waits for ever.
            patient: False: it does not wait at all.

        Returns:
            What was taken; release it when the call has ended.

        Raises:
            BudgetExhausted: There is no room now, and it is not patient.
            DeadlineExceeded: There is no room before the deadline, as far as can be told now; nothing was taken.
            Overloaded: Too many wait.
            BudgetUnavailable: The store fails; nothing is allowed.
            ConfigurationError: The call does not fit the rules, whatever the time.
        """
        if not 0 <= priority <= MOST_URGENT:
            raise ConfigurationError(
                f"a priority is 0 to {MOST_URGENT}, not {priority}", where=f"{self.account}, {operation}"
            )
        slots = self._routes.call(operation, cost, keys)
        now = self._clock.monotonic_ns()
        if (deadline is None or deadline >= now) and (grant := self._take_now(slots, now)) is not None:
            return grant
        return await self._dispatcher.wait(
            self._waiter(
                slots, operation, keys, cost=cost, tenant=tenant, priority=priority, deadline=deadline, patient=patient
            )
        )

    async def lease(self, resource: str, many: int = 1, *, tenant: str = "", deadline: int | None = None) -> Grant:
        """Take hold of something that the vendor limits, such as market data lines.

        Args:
            resource: The name of a `Concurrency` rule.
            many: How much of it.
            tenant: Who wants it.
            deadline: Until when to wait for it, ns; None: not at all.

        Returns:
            What is held, until it is released.

        Raises:
            BudgetExhausted: It is in use, and there is no deadline.
            DeadlineExceeded: It is in use up to the deadline.
            Overloaded: Too many wait.
            BudgetUnavailable: The store fails; nothing is allowed.
            ConfigurationError: No rule limits such a resource, or it never allows as many.
        """
        slots = self._routes.lease(resource, many)
        return await self._dispatcher.wait(
            self._waiter(
                slots, resource, NO_KEYS, cost=many, tenant=tenant, deadline=deadline, patient=deadline is not None
            )
        )

    def try_acquire(self, operation: str, *, cost: int = 1, keys: Mapping[str, str] = NO_KEYS) -> Grant | None:
        """Take what a call needs if there is room now and nobody waits; only with a store of this process.

        Returns:
            What was taken, or None.
        """
        return self._take_now(self._routes.call(operation, cost, keys), self._clock.monotonic_ns())

    def refused(self, grant: Grant, *, cooldown_ns: int, account_wide: bool = False) -> None:
        """Note that the vendor refused a call for its rate: nothing goes out for a while, then less (RC-10).

        Args:
            grant: What the call had taken.
            cooldown_ns: For how long nothing goes out; at most 15 minutes.
            account_wide: Whether that concerns every operation.

        Raises:
            ConfigurationError: It was a lease: what is held has no rate.
        """
        *_, operation = grant.slots
        if not isinstance(operation.rule, Feedback):
            raise ConfigurationError("what is leased has no rate", where=f"{self.account}, {operation.rule.name}")
        self.settle(lambda meter, _slot, now: meter.shrink(now, grant.at), [operation])
        self.cool(cooldown_ns, scope="" if account_wide else operation.rule.scope)

    def cool(self, cooldown_ns: int, *, scope: str = "") -> None:
        """Let nothing of an operation out for a while; of overlapping cooldowns the later end counts.

        Args:
            cooldown_ns: For how long; at most 15 minutes.
            scope: The operation; "": all of them.
        """
        length = min(cooldown_ns, MAX_COOLDOWN_NS)
        self._rests[scope] = max(self._clock.monotonic_ns() + length, self._rests.get(scope, 0))
        self.settle(lambda meter, _slot, now: meter.cool(now + length), [self._routes.scope(scope)])

    def cooldown_ns(self, *, scope: str = "") -> int:
        """Return for how long a cooldown that was made here still lasts, ns; 0: there is none."""
        return max(0, self._rests.get(scope, 0) - self._clock.monotonic_ns())

    def warm(self, *, scope: str = "") -> None:
        """End a cooldown and lift a shrunk rate: an operator knows better.

        Args:
            scope: The operation; "": what concerns all of them.
        """
        self._rests.pop(scope, None)
        self.settle(lambda meter, _slot, _now: meter.warm(), [self._routes.scope(scope)])

    def change(self, rules: Sequence[AnyRule]) -> None:
        """Go on under other rules: they hold for who waits now, and what was taken stays taken (RC-14).

        Raises:
            ConfigurationError: A rule cannot have its name or time, as `check_budget` says.
        """
        self._routes = Routes(self.account, rules, adaptive=self._adaptive)
        self._dispatcher.recall()
        for waiter in list(self._dispatcher):
            waiter.claims.clear()
            try:
                waiter.slots = self._routes.again(waiter.slots, waiter.operation, waiter.cost, waiter.keys)
            except ConfigurationError as error:
                self._dispatcher.leave(waiter)
                if not waiter.answer.done():
                    waiter.answer.set_exception(error)
        self._dispatcher.dispatch()

    def explain(self) -> tuple[Waits, ...]:
        """Return who waits, by arrival: for which rule, and how long at least."""
        now = self._clock.monotonic_ns()
        return tuple(waiter.explain(self.account, now) for waiter in sorted(self._dispatcher, key=attrgetter("seq")))

    @property
    def scopes(self) -> tuple[str, ...]:
        """The operations that were called here, and "": what a cooldown may concern."""
        return self._routes.scopes

    async def usage(self) -> Usage:
        """Return how much of the budget is taken now, by all who share the store.

        Raises:
            BudgetUnavailable: The store fails.
        """
        store, routes, now = self._store, self._routes, self._clock.monotonic_ns()
        shared = routes.shared()
        names = partial(store.names, most=MOST_KEYS + 1)
        seen = await store.submit(lambda: store.look(now, see, [*shared, *routes.apart(names)]))
        return usage_of(routes.rules, seen)

    def settle(self, what: Settlement, slots: Iterable[Slot]) -> None:
        """Tell the meters of slots something, and let out who may go because of it."""
        slots = tuple(slots)
        now = self._clock.monotonic_ns()
        if self._store.inline:
            self._store.settle(now, what, slots)
            self._settled(slots)
        else:
            work = self._store.submit(partial(self._store.settle, now, what, slots))
            work.add_done_callback(lambda done: None if done.cancelled() else self._settled(slots, done.exception()))

    def _settled(self, slots: Sequence[Slot], error: BaseException | None = None) -> None:
        if error is not None and not self._troubled:  # once, and not for each call while the store fails
            _log.error("%s: what was given back cannot be noted, so it stays taken: %s", self.account, error)
        self._troubled = error is not None
        if self.waiting:
            self._dispatcher.recall(slots)
            self._dispatcher.dispatch()

    def _take_now(self, slots: tuple[Slot, ...], now: int) -> Grant | None:
        """Return a grant if there is room, nobody waits for it, and the store tells at once."""
        if self._here is not None and self._dispatcher.clear(slots) and self._here.take(now, slots):
            return Grant(self.settle, slots, now)
        return None

    def _waiter(
        self,
        slots: tuple[Slot, ...],
        operation: str,
        keys: Mapping[str, str],
        *,
        cost: int,
        tenant: str,
        priority: int = 5,
        deadline: int | None,
        patient: bool,
    ) -> Waiter:
        """Return a call that is to stand in line, if that is of use.

        Raises:
            Overloaded: Too many wait.
            DeadlineExceeded: It is over already.
        """
        now = self._clock.monotonic_ns()
        if self.waiting >= self._max_waiters:
            raise Overloaded(
                f"{self.account}: {operation} is not called: {self.waiting} calls wait already;"
                " see `mdp budgets explain`",
                account=self.account,
                operation=operation,
            )
        if deadline is not None and deadline < now:
            hint = (
                "; a deadline is a time of `clock.monotonic_ns()`, not how long to wait"
                if now - deadline > LONG_NS
                else ""
            )
            raise DeadlineExceeded(
                f"{self.account}: {operation} is not called: its deadline was {(now - deadline) / 1e9:.3g} s ago{hint}",
                account=self.account,
                operation=operation,
            )
        return Waiter(
            slots=slots,
            operation=operation,
            keys=keys,
            cost=cost,
            tenant=tenant,
            priority=priority,
            deadline=deadline,
            patient=patient,
            since=now,
            seq=next(self._seq),
            answer=asyncio.get_running_loop().create_future(),
        )
