"""Lets out who waits, in fair order, as the store finds room.

Whatever is granted counts from the moment at which the caller can see it: who is cancelled before that has taken
nothing, and the next gets it. Nothing polls: one timer stands for the earliest time at which somebody could go on.

Who is let out has its turn of the loop to come back with the next call. It stands in line before there is more for the
others then, so that a tenant with many waiters has no more of a refilled burst than one with one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from market_data_pipeline.contracts import Clock
from market_data_pipeline.errors import DeadlineExceeded
from market_data_pipeline.pacing.grant import Grant, Settle
from market_data_pipeline.pacing.meters import NEVER
from market_data_pipeline.pacing.parking import Parking
from market_data_pipeline.pacing.queue import FairQueue
from market_data_pipeline.pacing.store import LATER, NOT_BACK, Ask, Slot, Store, Verdict
from market_data_pipeline.pacing.waiter import Waiter

LOOK_NS: Final = 100_000_000
"""How often a shared store is asked whether another process gave back what somebody here waits for."""

GRAIN_NS: Final = 500_000
"""How soon after a decision the next is made: a loop sleeps in whole milliseconds, and a busy one has better to do."""

MOVES: Final = 4
"""How often a call changes the meter that it waits apart for; then it stays in line, so that its claims hold."""

MOST_ASKED: Final = 128
"""How many of each line the store is asked for at once, after all of fewer were let out."""


class Dispatcher:
    """Everybody who waits for one account.

    Args:
        account: Whose budget it is.
        store: Where what was used is kept.
        clock: The time.
        settle: What grants give back by.
        weight_of: Returns the weight of a tenant's share, above 0.
    """

    def __init__(
        self,
        account: str,
        store: Store,
        clock: Clock,
        *,
        settle: Settle,
        weight_of: Callable[[str], float],
    ) -> None:
        self._account = account
        self._store = store
        self._clock = clock
        self._settle = settle
        self._queue: FairQueue[Waiter] = FairQueue(weight_of)
        self._parking = Parking()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next = NEVER  # when the first of those in line may go on
        self._depth = store.depth
        self._turn = False  # whether those who were let out may be back in this turn of the loop
        self._deciding = False  # whether a store decides in its own thread
        self._again = False  # whether something has changed meanwhile

    def __len__(self) -> int:
        """Return how many wait."""
        return self._queue.live + self._parking.count

    def __iter__(self) -> Iterator[Waiter]:
        """Yield all who wait, in no order."""
        yield from self._queue
        yield from self._parking

    def clear(self, slots: Sequence[Slot]) -> bool:
        """Tell whether nobody stands before a call that takes these slots."""
        return not (self._queue.live or self._turn or (self._parking.count and self._parking.first(slots)))

    async def wait(self, waiter: Waiter) -> Grant:
        """Let a call wait until there is an answer.

        Returns:
            What was taken.

        Raises:
            PacingError: The answer is no.
        """
        self._enter_loop(waiter.answer.get_loop())
        if waiter.deadline is not None:
            waiter.alarm = _call_at(waiter.deadline, self._expire, waiter)
        try:
            self._enter(waiter)
            return await waiter.answer
        except BaseException:
            if waiter.answer.done() and not waiter.answer.cancelled() and not waiter.answer.exception():
                waiter.answer.result().refund()  # granted and cancelled in the same turn of the loop
            raise
        finally:
            if waiter.alarm is not None:
                waiter.alarm.cancel()
            if self.leave(waiter):
                self._soon()

    def leave(self, waiter: Waiter) -> bool:
        """Take a waiter out; tell whether it was there."""
        if waiter.parked is not None:
            self._parking.leave(waiter)
        elif waiter.cell is not None:
            self._queue.leave(waiter)
        else:
            return False
        return True

    def recall(self, slots: Iterable[Slot] | None = None) -> None:
        """Let those stand in line again who wait apart for some slots, or for any."""
        if slots is None:
            self._rejoin(self._parking.take_all())
        else:
            self._rejoin(self._parking.take(slot.key for slot in slots if slot.apart))

    def dispatch(self) -> None:
        """Let out who may go now, and set the timer for who may go next."""
        if self._deciding:
            self._again = True
        elif not self._turn:
            self._ask()

    def _enter_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget what was to happen in another loop: it has ended, and nobody waits in it."""
        if loop is not self._loop:
            self._loop, self._timer = loop, None
            self._turn = self._deciding = self._again = False

    def _enter(self, waiter: Waiter) -> None:
        """Let a waiter stand in line, or apart behind those who wait for the same; only the first can go at once."""
        if self._parking.count and (first := self._parking.first(waiter.slots)):
            self._parking.add(waiter, first.parked or "")
        else:
            first = self._queue.push(waiter)
        if first is waiter:
            self.dispatch() if self._queue.live == 1 else self._soon()
            return
        waiter.verdict = first.verdict
        if error := waiter.refusal(self._account, waiter.since):
            waiter.answer.set_exception(error)

    def _expire(self, waiter: Waiter) -> None:
        if not waiter.answer.done():
            waited = (self._clock.monotonic_ns() - waiter.since) / 1e9
            waiter.answer.set_exception(
                DeadlineExceeded(
                    f"{self._account}: {waiter.operation} is not called: it waited {waited:.3g} s, up to its deadline;"
                    " `mdp budgets explain` shows who waits",
                    account=self._account,
                    operation=waiter.operation,
                )
            )

    def _ask(self) -> None:
        """Let the store decide on those who come next."""
        self._next = NEVER
        asks = [waiter for waiter in self._queue.order(self._depth) if not waiter.answer.done()]
        now = self._clock.monotonic_ns()
        if not asks:
            self._set_timer()
        elif self._store.inline:
            self._apply(asks, asks, self._store.decide(now, asks))
        else:
            self._deciding = True
            asked = [Ask(each.slots, each.claims, each.place, each.back) for each in asks]  # rules may change meanwhile
            work = self._store.submit(partial(self._store.decide, now, asked))
            work.add_done_callback(partial(self._decided, asks, asked))

    def _decided(self, waiters: Sequence[Waiter], asked: Sequence[Ask], work: asyncio.Future[list[Verdict]]) -> None:
        """Go on with what a store has decided in its own thread."""
        self._deciding = False
        if work.cancelled():
            return
        if error := work.exception():
            for waiter in waiters:
                self.leave(waiter)
                if not waiter.answer.done():
                    waiter.answer.set_exception(error)
            self._next_turn()
        else:
            self._apply(waiters, asked, work.result())

    def _apply(self, waiters: Sequence[Waiter], asked: Sequence[Ask], verdicts: Sequence[Verdict]) -> None:
        """Answer, move or keep each waiter as was decided; ask again if others come up by that."""
        now = self._clock.monotonic_ns()
        more, self._again = self._again, False
        all_granted = True
        for waiter, ask, verdict in zip(waiters, asked, verdicts, strict=True):
            if verdict.at is not None:
                more |= ask.back is not NOT_BACK
                grant = Grant(self._settle, ask.slots, verdict.at)
                if waiter.answer.done():
                    grant.refund()  # it was cancelled while the store decided
                else:
                    self._queue.serve(waiter)
                    waiter.answer.set_result(grant)
                continue
            all_granted = False
            if verdict is LATER:
                more = True
            else:
                waiter.verdict = verdict
                more |= not waiter.answer.done() and self._hold(waiter, verdict, now)
        self._depth = min(2 * self._depth, MOST_ASKED) if all_granted else max(self._depth // 2, self._store.depth)
        if more:
            self._next_turn()
        else:
            self._set_timer()

    def _hold(self, waiter: Waiter, verdict: Verdict, now: int) -> bool:
        """Let a waiter wait on, in line or apart, or refuse it; tell whether it left its line."""
        if error := waiter.refusal(self._account, now):
            waiter.answer.set_exception(error)
            self._queue.leave(waiter)
        elif verdict.slot is not None and verdict.slot.apart and waiter.moves < MOVES:
            waiter.moves += waiter.beside not in {verdict.slot.key, None}
            waiter.beside = verdict.slot.key
            self._queue.leave(waiter)
            self._parking.add(waiter, verdict.slot.key, verdict.until)
        else:
            self._next = min(self._next, verdict.until)
            return False
        return True

    def _soon(self) -> None:
        """Decide in the next turn of the loop, once about all who come and leave in this one."""
        if self._deciding:
            self._again = True
        elif not self._turn:
            self._next_turn()

    def _next_turn(self) -> None:
        """Ask again after those who go now had the time to come back."""
        self._turn = True
        asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = False
        self.dispatch()

    def _rejoin(self, waiters: Iterable[Waiter]) -> None:
        """Let those who waited apart stand in line again, where they stood."""
        for waiter in waiters:
            self._queue.push(waiter)

    def _set_timer(self) -> None:
        """Come back when the first of those who wait may go on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_ = min(self._next, self._parking.next_due())
        if len(self) and not self._store.inline:  # other processes give back too
            next_ = min(next_, self._clock.monotonic_ns() + LOOK_NS)
        if next_ < NEVER:
            self._timer = _call_at(max(next_, self._clock.monotonic_ns() + GRAIN_NS), self._come_back)

    def _come_back(self) -> None:
        self._timer = None
        self._rejoin(self._parking.take_due(self._clock.monotonic_ns()))
        if not self._store.inline:
            self._rejoin(self._parking.take_undated())
        self.dispatch()


def _call_at(when_ns: int, callback: Callable[..., None], *args: object) -> asyncio.TimerHandle:
    """Call back in the running loop, never before a time, ns of its own clock."""
    return asyncio.get_running_loop().call_at((when_ns + 1) / 1e9, callback, *args)
