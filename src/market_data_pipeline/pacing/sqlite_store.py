"""Meters in one SQLite file that all processes of a host share: one vendor key, one budget (RC-4, RC-5)."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock, get_ident
from typing import Any, Final, TypeAlias, TypeVar
from weakref import WeakSet

import attrs
import msgspec

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock
from market_data_pipeline.contracts.budget import RULES, AnyRule
from market_data_pipeline.errors import BudgetUnavailable
from market_data_pipeline.pacing import owners
from market_data_pipeline.pacing.budget_file import BudgetFile
from market_data_pipeline.pacing.disagreement import Disagreements
from market_data_pipeline.pacing.feedback import Feedback
from market_data_pipeline.pacing.meters import NEVER, Meter, OpenMeter
from market_data_pipeline.pacing.store import Ask, Look, Settlement, Slot, Verdict, decide, meter_of
from market_data_pipeline.pacing.store_time import StoreTime

T = TypeVar("T")

SWEEP: Final = 1_024
"""After how many new meters those that are as good as new are deleted."""
PAUSE_SEC: Final = 0.0002, 0.005
"""How long it waits before it tries again to lock the file: the first time, and at most; each time twice as long."""

_Done: TypeAlias = tuple[asyncio.Future[Any], Any, Exception | None]
_RULES: Final[Mapping[str, type[AnyRule | Feedback]]] = {**RULES, Feedback.kind: Feedback}
_VALUE: Final = msgspec.msgpack.Decoder(tuple[str, dict[str, Any], Any])


class SqliteStore:
    """Meters in a file for all processes of a host; several limiters may use it.

    What was taken outlives every process, and reboots (`StoreTime` says how, without the wall clock). What is held,
    such as lines or open requests, belongs to this store object until it is given back, the store is closed, or its
    process ends, whatever ends it: then it is free at once. A process that is only stopped or slow keeps what it holds.

    Each decision, and each time something is given back, is one transaction. A killed process loses nothing that it was
    granted, and no other one notices. If the power fails the file stays whole, and what was taken in the last seconds,
    which the system had not yet written to the disk, may be forgotten.

    It is asked in a thread of its own, so that a locked file stops no loop. It may be used after a fork: in the child
    it is a new owner.

    Args:
        path: The file, on a local disk; made if it is missing.
        slack_ns: By how much windows and gaps are stretched: how much later than another a call may reach the vendor
            after its grant. The longer a process may be held up between the two, the more; alike in all processes.
        lock_timeout: How long to wait for another process that has locked the file, such as one that was stopped in
            the middle, seconds.
        clock: The limiters' clock.
    """

    inline: bool = False
    depth: int = 32

    def __init__(
        self,
        path: str | Path,
        *,
        slack_ns: int = 50_000_000,
        lock_timeout: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self._slack_ns = slack_ns
        self._lock_timeout = lock_timeout
        self._clock: Clock = clock or SystemClock()
        self._file = BudgetFile(Path(path))
        self._lock = Lock()  # around each transaction: a fork waits for its end
        self._thread = ThreadPoolExecutor(1, "mdp-budget")
        self._closed = Event()
        self._time = StoreTime()
        self._meters: dict[str, Meter] = {}  # those that nobody else has changed since they were read
        self._found = _Found(self._find)  # in this transaction
        self._dirty: set[Slot] = set()  # what this transaction has changed
        self._owed: list[tuple[Settlement, tuple[Slot, ...]]] = []
        self._told: list[tuple[Settlement, tuple[Slot, ...]]] = []  # what of it this transaction has told
        self._inside = 0  # the thread that is in a transaction
        self._gate = Lock()
        self._batches: dict[asyncio.AbstractEventLoop, list[tuple[Callable[[], Any], asyncio.Future[Any]]]] = {}
        self._fresh = SWEEP  # new meters since the last sweep
        self._disagreements = Disagreements()
        _STORES.add(self)

    def decide(self, now: int, asks: Sequence[Ask]) -> list[Verdict]:
        """Take for each ask in turn, if all its slots have room and nobody before it claims one of them.

        Returns:
            A verdict on each.

        Raises:
            BudgetUnavailable: The file cannot be locked, read or written; nothing was taken.
        """
        return self._transact(now, lambda: self._decide(asks))

    def settle(self, now: int, what: Settlement, slots: Iterable[Slot]) -> None:
        """Tell the meters of these slots something; if that fails it is told with the next thing that does not.

        Raises:
            BudgetUnavailable: The file cannot be locked, read or written.
        """
        self._owed.append((what, tuple(slots)))
        self._transact(now, self._pay)

    def look(self, now: int, what: Look[T], slots: Iterable[Slot]) -> list[T]:
        """Return what is to be seen of the meters of these slots.

        Raises:
            BudgetUnavailable: The file cannot be locked or read.
        """
        return self._transact(now, lambda: [what(self._found[slot], slot, self._time.now) for slot in slots])

    def names(self, prefix: str, *, most: int) -> list[str]:
        """Return the names of meters that begin so, `most` of them at most; in work of `submit`."""
        return self._file.names(prefix, most)

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Do work of `decide` and `settle` in the store's own thread, in the order in which it was given.

        Returns:
            What comes of it.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        with self._gate:
            batch = self._batches.setdefault(loop, [])
            batch.append((work, answer))
        if len(batch) == 1:
            try:
                loop.run_in_executor(self._thread, self._do_batch, loop).add_done_callback(_deliver)
            except RuntimeError:  # the thread has ended
                del self._batches[loop]
                answer.set_exception(self._no_more())
        return answer

    def close(self) -> None:
        """Do what was given to it, which may take as long as `lock_timeout`, then give back all that is held here."""
        self._thread.shutdown()
        with self._lock:
            if not self._closed.is_set():
                self._closed.set()
                self._file.close()
                self._file.leave()

    def _do_batch(self, loop: asyncio.AbstractEventLoop) -> list[_Done]:
        """Do all that waits to be done for a loop, in one transaction.

        Returns:
            What came of it.
        """
        with self._gate:
            batch = self._batches.pop(loop)
        try:
            results = self._transact(0, lambda: [work() for work, _ in batch])
        except Exception as error:  # noqa: BLE001 (it belongs to who gave the work)
            return [(answer, None, error) for _, answer in batch]
        return [(answer, result, None) for (_, answer), result in zip(batch, results, strict=True)]

    def _no_more(self) -> BudgetUnavailable:
        return BudgetUnavailable(f"{self._file.path} is closed here: nothing goes out; make a new store")

    def _transact(self, now: int, work: Callable[[], T]) -> T:
        """Do work in a transaction, of its own unless this thread is in one.

        Returns:
            What it returns.

        Raises:
            BudgetUnavailable: It is not done.
        """
        if self._inside == get_ident():
            self._time = self._time.at(max(now, self._time.mono))
            return work()
        pause, most = PAUSE_SEC
        waited = 0.0
        while True:
            with self._lock:
                if self._closed.is_set():
                    raise self._no_more()
                if self._file.begin():
                    return self._work(now, work)
            if waited >= self._lock_timeout:
                raise BudgetUnavailable(
                    f"{self._file.path}: another process has locked it for {self._lock_timeout:g} s: nothing goes out;"
                    " look for one that is stopped, or a database tool that has the file open"
                )
            self._closed.wait(pause)
            waited, pause = waited + pause, min(2 * pause, most)

    def _work(self, now: int, work: Callable[[], T]) -> T:
        """Do work between begin and commit; if it fails nothing is kept of it.

        Returns:
            What it returns.

        Raises:
            BudgetUnavailable: It cannot be written.
        """
        if self._file.changed:
            self._meters.clear()
        self._found.clear()
        self._dirty.clear()
        # Read while the file is locked: no process that took before this one can have read a later time.
        self._time = self._file.time.at(max(now, self._clock.monotonic_ns()))
        self._inside = get_ident()
        try:
            self._pay()
            done = work()
            dirty = {slot.key for slot in self._dirty}
            gone = self._sweep(dirty) if self._fresh >= SWEEP else []
            if dirty or gone:
                self._file.write([(key, _dump(self._meters[key])) for key in dirty], gone, self._time)
            self._file.commit()
        except sqlite3.Error as error:
            raise self._file.failed(error) from error
        except BaseException:
            self._file.close()
            raise
        else:
            self._told.clear()
        finally:
            self._inside = 0
            self._owed[:0] = self._told
            self._told.clear()
        return done

    def _decide(self, asks: Sequence[Ask]) -> list[Verdict]:
        verdicts = decide(self._found.__getitem__, self._time.now, asks)
        for index, (ask, verdict) in enumerate(zip(asks, verdicts, strict=True)):
            if verdict.at is not None:
                self._dirty.update(ask.slots)
            elif verdict.until < NEVER:
                verdicts[index] = Verdict(until=verdict.until - self._time.offset, slot=verdict.slot)
        return verdicts

    def _pay(self) -> None:
        """Tell meters what they are owed."""
        while self._owed:
            what, slots = self._owed[0]
            meters = [self._found[slot] for slot in slots]
            del self._owed[0]  # one that raises is not told again
            for meter, slot in zip(meters, slots, strict=True):
                what(meter, slot, self._time.now)
            self._dirty.update(slots)
            self._told.append((what, slots))

    def _find(self, slot: Slot) -> Meter:
        """Return the meter of a slot as it is now."""
        meter = self._meters.get(slot.key)
        if meter is None:
            value = self._file.read(slot.key)
            self._fresh += value is None
            meter = self._load(value, slot.rule) if value else None
            if meter is None or meter.rule.kind != slot.rule.kind:
                meter = meter_of(slot.rule, self._slack_ns)
            if isinstance(meter, OpenMeter):
                meter.owner = str(self._file.owner)
            self._meters[slot.key] = meter
        if meter.rule is not slot.rule and meter.rule != slot.rule:
            self._disagreements.turned(slot, meter.rule)
            meter.change(slot.rule, self._slack_ns, self._time.now)
            self._dirty.add(slot)
        if isinstance(meter, OpenMeter) and meter.earliest(0, slot.cost) == NEVER and self._bury(meter):
            self._dirty.add(slot)
        return meter

    def _bury(self, meter: OpenMeter) -> bool:
        """Free what is held by those whose process has ended; tell whether there is anybody."""
        dead = [owner for owner in meter.holders if not self._file.lives(int(owner))]
        for owner in dead:
            del meter.holders[owner]
        return bool(dead)

    def _sweep(self, dirty: set[str]) -> list[str]:
        """Forget the meters that are as good as new, save those that are dirty.

        Returns:
            Those of the file, to be deleted.
        """
        now = self._time.now
        self._fresh = 0
        self._meters = {key: meter for key, meter in self._meters.items() if key in dirty or not meter.idle(now)}
        gone = []
        for key, value in self._file.read_all():
            if key not in dirty and (meter := self._load(value)) is not None:
                if isinstance(meter, OpenMeter):
                    self._bury(meter)
                if meter.idle(now):
                    gone.append(key)
                    self._meters.pop(key, None)
        return gone

    def _load(self, value: bytes, rule: AnyRule | Feedback | None = None) -> Meter | None:
        """Return a meter of the file, for a rule if that has the same numbers; None: its kind is not known here.

        Raises:
            BudgetUnavailable: It is damaged.
        """
        try:
            kind, numbers, state = _VALUE.decode(value)
            if kind not in _RULES:
                return None
            if rule is None or rule.kind != kind or _numbers(rule) != numbers:
                rule = _RULES[kind](name="as it was", **numbers)
            meter = meter_of(rule, self._slack_ns)
            meter.load(state)
        except (msgspec.MsgspecError, TypeError, ValueError) as error:
            raise self._file.failed(error) from error
        return meter

    def _start_anew(self) -> None:
        """Be a new owner, in a forked child, where nobody is left to open the locks of the parent's threads."""
        self._file.forget()
        self._gate = Lock()
        was_closed, self._closed = self._closed.is_set(), Event()
        (self._closed.set if was_closed else self._closed.clear)()
        self._thread = ThreadPoolExecutor(1, "mdp-budget")
        self._batches = {}
        self._owed.clear()


class _Found(dict[Slot, Meter]):
    """Meters by slot; one that is missing is looked up."""

    def __init__(self, find: Callable[[Slot], Meter]) -> None:
        self._find = find

    def __missing__(self, slot: Slot) -> Meter:
        self[slot] = meter = self._find(slot)
        return meter


def _deliver(work: asyncio.Future[list[_Done]]) -> None:
    """Answer, in the loop."""
    for answer, result, error in work.result():
        if answer.done():
            pass  # it was cancelled
        elif error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)


def _dump(meter: Meter) -> bytes:
    return msgspec.msgpack.encode((meter.rule.kind, _numbers(meter.rule), meter.dump()))


@lru_cache
def _numbers(rule: AnyRule | Feedback) -> dict[str, float]:
    """Return what a meter's state depends on."""
    return {name: value for name, value in attrs.asdict(rule).items() if isinstance(value, int | float)}


_STORES: Final[WeakSet[SqliteStore]] = WeakSet()
_FORKING: Final[list[SqliteStore]] = []


def _before_fork() -> None:
    """Close every file between two transactions: a child must not inherit an open database, not even to close it."""
    for store in sorted(_STORES, key=id):
        store._lock.acquire()  # noqa: SLF001
        store._file.close()  # noqa: SLF001
        _FORKING.append(store)


def _after_fork() -> None:
    while _FORKING:
        _FORKING.pop()._lock.release()  # noqa: SLF001


def _after_fork_in_child() -> None:
    owners.forget()
    for store in _FORKING:
        store._start_anew()  # noqa: SLF001
    _after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows has none)
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
