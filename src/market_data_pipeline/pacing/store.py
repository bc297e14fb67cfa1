"""Where meters are kept: in this process, or in a file that several share. One decision over all of them is atomic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from math import inf
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import attrs
import msgspec

from market_data_pipeline.contracts.budget import AnyRule
from market_data_pipeline.pacing.feedback import Feedback, FeedbackMeter
from market_data_pipeline.pacing.meters import NEVER, Meter, make_meter

T = TypeVar("T")

Place: TypeAlias = tuple[float, float]
"""A place in the fair order: the virtual times of a tenant and of a priority of it."""

NOT_BACK: Final[Place] = (inf, inf)
"""The place of who does not come next: another one of its line does."""

MOST_METERS: Final = 4_096
"""How many meters that count by key are kept before those that are as good as new are forgotten."""


@attrs.define(eq=False)
class Slot:
    """What one call takes of one rule."""

    key: str
    """The name of the meter: account, rule and the values of the rule's keys."""
    rule: AnyRule | Feedback
    cost: int
    apart: bool
    """Whether the rule counts by keys, so that others of the same operation may go on while this one waits for it."""
    meter: Any = None
    """Its meter, where a store of this process remembers it here."""


class Ask(msgspec.Struct, eq=False):
    """What a call needs: room in all slots at once."""

    slots: tuple[Slot, ...]
    claims: set[str] = msgspec.field(default_factory=set)
    """Meters that it was held up by: nobody who comes later takes what it needs of them when it can go at last."""
    place: Place = (0.0, 0.0)
    """Where it stands in the fair order."""
    back: Place = NOT_BACK
    """Where its line comes next, if it is the last of it that is asked for: when it is let out, nobody behind that
    place goes before it may be back."""


class Verdict(msgspec.Struct, frozen=True, eq=False):
    """What was decided about an ask."""

    at: int | None = None
    """When it was taken, on the store's own clock; None: it was not."""
    until: int = NEVER
    """Else the first time at which there is room, on the caller's clock; `NEVER`: when something is given back.
    Of who waits for those before it: when these have room."""
    slot: Slot | None = None
    """Else what holds it up longest; None: those before it, who claim one of its meters."""


Look: TypeAlias = Callable[[Any, Slot, int], T]
"""Sees something in the meter of a slot, at a time of the store's own clock, ns."""

Settlement: TypeAlias = Look[None]
"""Tells something to the meter of a slot, at a time of the store's own clock, ns."""


BEHIND: Final = Verdict()
"""The verdict on who waits for those before it."""

LATER: Final = Verdict()
"""The verdict on whom somebody that was let out may overtake yet: it is to be asked again."""


class Store(Protocol):
    """Meters by name."""

    inline: bool
    """True: it answers at once and never fails, so that it is called on the loop. False: from a thread of its own."""
    depth: int
    """How many asks of each flow it is given at once."""

    def decide(self, now: int, asks: Sequence[Ask]) -> list[Verdict]:
        """Take for each ask in turn, if all its slots have room and nobody before it claims one of them.

        Raises:
            PacingError: Nothing can be decided: then nothing was taken.
        """
        ...

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Do work of `decide` and `settle` in the store's own thread, in the order in which it was given."""
        ...

    def settle(self, now: int, what: Settlement, slots: Iterable[Slot]) -> None:
        """Tell the meters of these slots something, such as that what was taken has ended.

        `what` gets each meter, its slot and the store's own time.

        Raises:
            PacingError: It could not be kept.
        """
        ...

    def close(self) -> None:
        """Give back what is held, for good; may block for some seconds. Idempotent."""
        ...

    def look(self, now: int, what: Look[T], slots: Iterable[Slot]) -> list[T]:
        """Return what is to be seen of the meters of these slots; nothing is taken or kept.

        `what` gets each meter, its slot and the store's own time.

        Raises:
            PacingError: They cannot be read.
        """
        ...

    def names(self, prefix: str, *, most: int) -> list[str]:
        """Return the names of meters that count by keys and begin so, `most` of them at most; in work of `submit`.

        Raises:
            PacingError: They cannot be read.
        """
        ...


def meter_of(rule: AnyRule | Feedback, slack_ns: int) -> Meter:
    """Return an empty meter, whose times are stretched by `slack_ns`."""
    return FeedbackMeter(rule) if isinstance(rule, Feedback) else make_meter(rule, slack_ns)


def decide(find: Callable[[Slot], Meter], now: int, asks: Iterable[Ask]) -> list[Verdict]:
    """Return the verdicts on asks that come in order of precedence; what is granted is taken.

    Who is held up by one meter goes before all who come later. Of the others that it claims these may take, if it still
    finds what it needs when the first has room: no call waits for a rule that does not concern it, and none for ever.
    (Backfilling as in the EASY scheduler, Lifka 1995.)

    Whose line has come to its end with a grant may be back at once, with the next call: who stands behind it then is
    not let out before. Else a tenant with many waiters would get all that a tenant with one at a time does not take.
    """
    blocked: dict[str, int] = {}  # meters that hold somebody up, and until when
    claimed: dict[str, list[tuple[int, int]]] = {}  # meters that somebody needs besides: (how much, when)
    back = NOT_BACK  # where the first of those who were let out may stand next
    verdicts = []
    for ask in asks:
        if ask.place > back:
            verdicts.append(LATER)
            continue
        verdict = _behind(find, now, ask, blocked, claimed) or _judge(find, now, ask)
        if verdict.at is not None:
            back = min(back, ask.back)
        else:
            if (holdup := verdict.slot) is not None:
                ask.claims.add(holdup.key)
                blocked[holdup.key] = max(verdict.until, blocked.get(holdup.key, 0))
            for slot in ask.slots if len(ask.claims) > (holdup is not None) else ():
                if slot.key in ask.claims and slot is not holdup:
                    claimed.setdefault(slot.key, []).append((slot.cost, verdict.until))
        verdicts.append(verdict)
    return verdicts


def _behind(
    find: Callable[[Slot], Meter],
    now: int,
    ask: Ask,
    blocked: dict[str, int],
    claimed: dict[str, list[tuple[int, int]]],
) -> Verdict | None:
    """Return until when an ask waits for those before it; None: it need not."""
    until = 0
    for slot in ask.slots if blocked else ():
        until = max(until, blocked.get(slot.key, 0))
        for cost, when in claimed.get(slot.key, ()):
            meter = find(slot)
            state = meter.dump()
            meter.take(now, slot.cost)
            room = meter.earliest(now, cost)
            meter.load(state)
            if room > when or room == NEVER:
                until = max(until, when)
    return Verdict(until=until) if until else None


def _judge(find: Callable[[Slot], Meter], now: int, ask: Ask) -> Verdict:
    until, holdup = now, None
    meters = [slot.meter or find(slot) for slot in ask.slots]
    for meter, slot in zip(meters, ask.slots, strict=True):
        when = meter.earliest(now, slot.cost)
        if when > until:
            until, holdup = when, slot
    if holdup is not None:
        return Verdict(until=until, slot=holdup)
    for meter, slot in zip(meters, ask.slots, strict=True):
        meter.take(now, slot.cost)
    return Verdict(at=now)


class MemoryStore:
    """Meters of this process alone, on the caller's own clock.

    Args:
        slack_ns: By how much windows and gaps are stretched.
    """

    inline: bool = True
    depth: int = 1

    def __init__(self, *, slack_ns: int = 50_000_000) -> None:
        self._slack_ns = slack_ns
        self._shared: dict[str, Meter] = {}
        self._apart: dict[str, Meter] = {}
        self._sweep_at = MOST_METERS

    def take(self, now: int, slots: Iterable[Slot]) -> bool:
        """Take all slots if they have room: `decide` for one ask, without its reasons."""
        for slot in slots:
            if (slot.meter or self.meter(slot, now)).earliest(now, slot.cost) > now:
                return False
        for slot in slots:
            (slot.meter or self.meter(slot, now)).take(now, slot.cost)
        return True

    def decide(self, now: int, asks: Sequence[Ask]) -> list[Verdict]:
        """Take for each ask in turn, if all its slots have room and nobody before it claims one of them.

        Returns:
            A verdict on each.
        """
        return decide(lambda slot: self.meter(slot, now), now, asks)

    def settle(self, now: int, what: Settlement, slots: Iterable[Slot]) -> None:
        """Tell the meters of these slots something."""
        for slot in slots:
            what(self._find(slot, now), slot, now)

    def look(self, now: int, what: Look[T], slots: Iterable[Slot]) -> list[T]:
        """Return what is to be seen of the meters of these slots."""
        return [what(self._find(slot, now), slot, now) for slot in slots]

    def names(self, prefix: str, *, most: int) -> list[str]:
        """Return the names of meters that count by keys and begin so, `most` of them at most."""
        return list(islice((name for name in self._apart if name.startswith(prefix)), most))

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Do work at once.

        Returns:
            What came of it.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        done.set_result(work())
        return done

    def close(self) -> None:
        """Do nothing: what is held here ends with the process."""

    def meter(self, slot: Slot, now: int) -> Meter:
        """Return the meter of a slot, under its rule from now on; a new one is empty."""
        kept = self._find(slot, now)
        if kept.rule is not slot.rule and kept.rule != slot.rule:
            kept.change(slot.rule, self._slack_ns, now)
        if not slot.apart:
            slot.meter = kept
        return kept

    def _find(self, slot: Slot, now: int) -> Meter:
        """Return the meter of a slot, under whichever rule: what was taken before a change is given back after it."""
        if len(self._apart) > self._sweep_at:
            self._apart = {key: meter for key, meter in self._apart.items() if not meter.idle(now)}
            self._sweep_at = max(MOST_METERS, 2 * len(self._apart))
        meters = self._apart if slot.apart else self._shared
        kept = meters.get(slot.key)
        if kept is None:
            kept = meters[slot.key] = meter_of(slot.rule, self._slack_ns)
        return kept
