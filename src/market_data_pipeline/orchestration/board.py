"""The board of a data directory: there each process shows its accounts, and finds what operators order."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import attrs

from market_data_pipeline.breaking import CircuitBreaker
from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock, Gcra, Window
from market_data_pipeline.contracts.budget import SECOND_NS, AnyRule
from market_data_pipeline.errors import PacingError
from market_data_pipeline.orchestration.coordinator import RateCoordinator
from market_data_pipeline.orchestration.orders import Order, Orders, newest
from market_data_pipeline.orchestration.presence import (
    Presence,
    ShownAccount,
    ShownBreaker,
    ShownProcess,
    ShownRest,
    ShownRule,
    ShownWait,
)
from market_data_pipeline.pacing.usage import Usage
from market_data_pipeline.source.account import VendorAccount

EVERY_NS: Final = SECOND_NS
"""How often it looks for orders, and shows what has changed."""
MOST_WAITS: Final = 200
"""How many of those who wait for an account are shown."""
CLOSE_SEC: Final = 2.0
"""How long taking the file away may take."""
STEP_NS: Final = 100_000_000
"""By how much the wall clock may move before shown times move with it."""

MS: Final = 1_000_000

T = TypeVar("T")

ORDERS: Final = "state/orders"
PROCESSES: Final = "state/processes"

_log = logging.getLogger("market_data_pipeline.orchestration")


class Board:
    """Shows the accounts of a coordinator to other processes, and does to them what operators order.

    An order is done once to each breaker that it covers, within about a second; to a breaker that is made later, and in
    a process that starts later, when the breaker is made. Where the folder cannot be used, all goes on without it.

    Args:
        coordinator: The accounts.
        directory: The data directory.
        clock: The time.
    """

    def __init__(self, coordinator: RateCoordinator, directory: Path, *, clock: Clock | None = None) -> None:
        self._coordinator = coordinator
        self._clock: Clock = clock or SystemClock()
        self._inbox = Orders(directory / ORDERS)
        self._presence = Presence(directory / PROCESSES)
        self._orders: tuple[Order, ...] = ()
        self._done: dict[CircuitBreaker, int] = {}  # the time of the last order that was done to it
        self._last = 0  # the time of the last order to a budget that was done
        self._troubles: set[str] = set()
        self._ahead: int | None = None  # wall time minus monotonic time
        self._since = 0
        self._before = 0  # the time of the newest order that was there when it opened
        self._ended = anyio.Event()
        coordinator.on_new_breaker = self._begin

    async def open(self) -> None:
        """Take the orders that are in force: from here on breakers come up as these say."""
        self._since = self._before = self._last = self._clock.time_ns()
        if (orders := await self._files(self._inbox.read)) is not None:
            # Not the wall clock: if that is set back, orders to come are later than these, and earlier than it was.
            self._before = self._last = max((order.at for order in orders), default=0)
            self._heed(orders)

    async def run(self) -> None:
        """Show and obey, until `end` or a cancellation; what goes wrong is logged."""
        try:
            while not self._ended.is_set():
                await self._take()
                await self._show()
                with anyio.move_on_after(EVERY_NS / 1e9):
                    await self._ended.wait()
        finally:
            with anyio.move_on_after(CLOSE_SEC, shield=True):
                await self._files(self._presence.leave)

    def end(self) -> None:
        """Let `run` return."""
        self._ended.set()

    def accounts(self) -> tuple[VendorAccount, ...]:
        """Return the accounts that are shown on it, by name."""
        return self._coordinator.accounts()

    async def close(self) -> None:
        """Give back what the accounts hold, when nobody uses them any more."""
        await self._coordinator.close()

    async def _files(self, work: Callable[[], T]) -> T | None:
        """Do something with files, in a thread; None: it failed, which is logged once for each cause."""
        try:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except OSError as error:
            if (cause := f"{type(error).__name__}: {error}") not in self._troubles:
                self._troubles.add(cause)
                _log.warning("operators cannot see or override this process: %s", cause)
            return None

    async def _take(self) -> None:
        """Read the orders, and do what was not done."""
        if (orders := await self._files(self._inbox.read)) is not None:
            self._heed(orders)

    def _heed(self, orders: tuple[Order, ...]) -> None:
        self._orders = orders
        for account in self._coordinator.accounts():
            for breaker in account.breakers():
                self._obey(account, breaker)
        for order in orders:
            if order.action == "warm" and order.at > self._last:
                self._last = order.at
                self._warm(order)

    def _obey(self, account: VendorAccount, breaker: CircuitBreaker, *, new: bool = False) -> None:
        wall = self._clock.time_ns()
        order = newest(self._orders, account.provider, breaker.operation, wall)
        if order is None or self._done.get(breaker) == order.at:
            return
        self._done[breaker] = order.at
        if order.action == "reset" and (new or order.at <= self._before):
            return  # there is nothing to reset
        left = None if order.until is None else order.until - wall
        until = None if left is None else self._clock.monotonic_ns() + left
        reason = f"an operator: {order.reason}"
        if order.action == "open":
            breaker.force_open(reason, until_ns=until)
        elif order.action == "disable":
            breaker.disable(reason, until_ns=until)
        else:
            breaker.clear(reason)
        _log.warning(
            "an operator's order to %s the breaker of %s/%s is done%s: %s",
            order.action,
            account.name,
            breaker.operation,
            "" if left is None else f", for {left / 1e9:.0f} s",
            order.reason,
        )

    def _begin(self, account: VendorAccount, breaker: CircuitBreaker) -> None:
        self._obey(account, breaker, new=True)

    def _warm(self, order: Order) -> None:
        for account in self._coordinator.accounts():
            if account.provider == order.provider:
                for scope in [order.operation] if order.operation else account.limiter.scopes:
                    account.limiter.warm(scope=scope)
                what = f"{account.name}/{order.operation}" if order.operation else account.name
                _log.warning("an operator's order to end the cooldowns of %s is done: %s", what, order.reason)

    async def _show(self) -> None:
        process = ShownProcess(
            pid=os.getpid(),
            since=self._since,
            taken=max((order.at for order in self._orders), default=0),
            accounts=tuple([await self._shown(account) for account in self._coordinator.accounts()]),
        )
        await self._files(lambda: self._presence.show(process))

    async def _shown(self, account: VendorAccount) -> ShownAccount:
        trouble, usage = "", Usage(rules={}, rests=())
        try:
            usage = await account.limiter.usage()
        except PacingError as error:
            trouble = str(error)
        status = account.status()
        now = self._clock.monotonic_ns()
        return ShownAccount(
            name=account.name,
            provider=account.provider,
            in_flight=status.in_flight,
            waiting=account.limiter.waiting,
            rules=tuple(_rule(rule, usage) for rule in account.limiter.rules),
            rests=tuple(
                ShownRest(
                    operation=rest.operation,
                    until=self._wall(now + rest.left_ns) if rest.left_ns else None,
                    rate=rest.rate,
                )
                for rest in usage.rests
            ),
            trouble=trouble,
            breakers=tuple(
                ShownBreaker(
                    status=attrs.evolve(breaker, retry_after_ns=0),
                    since=self._wall(breaker.since_ns),
                    refuses=breaker.retry_after_ns != 0,
                    until=self._wall(now + breaker.retry_after_ns) if breaker.retry_after_ns else None,
                )
                for breaker in status.breakers
            ),
            waits=tuple(
                ShownWait(
                    waits=attrs.evolve(waits, waited_ns=0, left_ns=None),
                    since=self._wall(now - waits.waited_ns),
                    until=None if waits.left_ns is None else self._wall(now + waits.left_ns),
                )
                for waits in status.waits[:MOST_WAITS]
            ),
        )

    def _wall(self, monotonic_ns: int) -> int:
        """Return a time as ns since the epoch, to the millisecond: equal ones stay equal from one look to the next."""
        ahead = self._clock.time_ns() - self._clock.monotonic_ns()
        if self._ahead is None or abs(ahead - self._ahead) > STEP_NS:
            self._ahead = ahead
        return (monotonic_ns + self._ahead) // MS * MS


def _rule(rule: AnyRule, usage: Usage) -> ShownRule:
    return ShownRule(
        name=rule.name,
        kind=rule.kind,
        limit=rule.burst if isinstance(rule, Gcra) else getattr(rule, "limit", None),
        period_ns=rule.period_ns if isinstance(rule, Window | Gcra) else getattr(rule, "gap_ns", None),
        per=rule.per,
        usage=usage.rules.get(rule.name),
    )
