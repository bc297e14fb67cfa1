"""A vendor to try a budget on: it counts what arrives by its own clock, refuses what breaks a rule, bans who goes on.

It shares the rules with the limiter, as data, and none of its code: it looks at all that has arrived, each time anew.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from math import inf
from typing import Final, TypeAlias

import attrs

from market_data_pipeline.contracts import Clock
from market_data_pipeline.contracts.budget import SECOND_NS, AnyRule, Concurrency, Gcra, MinGap, Window
from market_data_pipeline.errors import (
    AuthenticationFailed,
    CapacityExceeded,
    ConfigurationError,
    RateLimited,
    SourceError,
    nearest,
)

NO_KEYS: Final[Mapping[str, str]] = {}

_Place: TypeAlias = tuple[str, ...]
"""Where something is counted: a rule's name and the values of its keys."""


@attrs.frozen(kw_only=True)
class Arrival:
    """A call as the vendor saw it."""

    at: int
    """When it arrived, ns of the clock."""
    operation: str
    cost: int
    keys: Mapping[str, str]
    broke: tuple[str, ...] = ()
    """The names of the rules that it broke."""
    refused: bool = False
    """Whether it was refused: for that, for a ban, or for no reason."""


class FakeVendor:
    """A vendor that enforces rules, and answers, refuses and bans as real ones do.

    What is refused counts as well: who asks again at once makes it worse. An even rate (`Gcra`) is enforced with as
    much tolerance as their time on the way differs, since calls move together there; windows and gaps are exact.

    Args:
        rules: What it enforces.
        clock: Its time: a `SimLoop` is one, in which time is virtual.
        seed: Of the latency and of what it refuses for no reason: one seed gives the same again.
        latency_sec: The least and the most that a call takes on its way there, and an answer on its way back.
        work_sec: The least and the most that it works on an answer: for that long a request is open.
        spread_sec: By how much the time on the way differs; left out: as the latency does.
        moody: The share of calls that it refuses for no reason, 0 to 1.
        strikes: After so many violations it bans.
        ban_sec: For how long it then refuses everything; None: it no longer knows who asks, for ever.

    Attributes:
        arrivals: All calls that have arrived, in order.
        violations: Which rules were broken, by name, and how often, by calls and by what was held.
        bans: How often it banned.
    """

    def __init__(
        self,
        rules: Iterable[AnyRule],
        clock: Clock,
        *,
        seed: int = 0,
        latency_sec: tuple[float, float] = (0.005, 0.03),
        work_sec: tuple[float, float] = (0.0, 0.2),
        spread_sec: float | None = None,
        moody: float = 0.0,
        strikes: int = 3,
        ban_sec: float | None = 900.0,
    ) -> None:
        self.arrivals: list[Arrival] = []
        self.violations: Counter[str] = Counter()
        self.bans: int = 0
        self._rules = tuple(rules)
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 (a test's, no secret)
        self._latency_sec = latency_sec
        self._work_sec = work_sec
        least, most = latency_sec
        self._spread = round((most - least if spread_sec is None else spread_sec) * SECOND_NS) + 1
        self._moody = moody
        self._strikes = strikes
        self._ban_sec = ban_sec
        self._banned_until: float = 0
        self._seen: defaultdict[_Place, list[tuple[int, int]]] = defaultdict(list)  # (when, how much)
        self._open: Counter[_Place] = Counter()

    async def call(self, operation: str, *, cost: int = 1, keys: Mapping[str, str] = NO_KEYS) -> Arrival:
        """Ask it something; whoever is cancelled has closed the request.

        Returns:
            The call as it arrived.

        Raises:
            RateLimited: It broke a rule, or it is one of those that are refused for no reason, or there is a ban.
            AuthenticationFailed: There is a ban for ever.
            ConfigurationError: A rule counts by a key that is not among `keys`.
        """
        await self._sleep(self._latency_sec)
        arrival, refusal = self._arrive(operation, cost, dict(keys))
        if refusal is None:
            places = [
                _place(rule, keys) for rule in self._rules if rule.kind == "concurrency" and rule.concerns(operation)
            ]
            self._open.update(places)
            try:
                await self._sleep(self._work_sec)
            finally:
                self._open.subtract(places)
        await self._sleep(self._latency_sec)
        if refusal is not None:
            raise refusal
        return arrival

    @contextmanager
    def hold(self, resource: str, many: int = 1) -> Generator[None]:
        """Hold something, such as market data lines, as long as the context lasts.

        Args:
            resource: The name of a `Concurrency` rule.
            many: How much of it.

        Raises:
            CapacityExceeded: There is not as much.
            ConfigurationError: No rule limits it.
        """
        limits = {rule.name: rule.limit for rule in self._rules if isinstance(rule, Concurrency)}
        if resource not in limits:
            raise ConfigurationError(f"no rule of the vendor limits {resource!r}: {nearest(resource, limits)}")
        limit = limits[resource]
        place = (resource,)
        if self._open[place] + many > limit:
            self._strike((resource,))
            raise CapacityExceeded(f"there are {limit} {resource}, and {self._open[place]} of them are in use")
        self._open[place] += many
        try:
            yield
        finally:
            self._open[place] -= many

    def change(self, rules: Iterable[AnyRule]) -> None:
        """Enforce other rules; what a window counted still counts, an even rate begins anew."""
        now = self._clock.monotonic_ns()
        periods = {rule.name: rule.period_ns for rule in self._rules if isinstance(rule, Window)}
        even = {rule.name for rule in self._rules if isinstance(rule, Gcra)}
        for place, seen in self._seen.items():
            since = now if place[0] in even else now - periods.get(place[0], now)
            seen[:] = [(at, amount) for at, amount in seen if at > since]
        self._rules = tuple(rules)

    def _arrive(self, operation: str, cost: int, keys: Mapping[str, str]) -> tuple[Arrival, SourceError | None]:
        """Return how a call is seen, and why it is refused."""
        now = self._clock.monotonic_ns()
        broken = []
        refusal = self._ban(now)
        for rule in self._rules:
            if rule.concerns(operation):
                place = _place(rule, keys)
                self._seen[place].append(
                    (now, cost if isinstance(rule, Window | Gcra) and rule.counts == "cost" else 1)
                )
                if refusal is None and not self._allows(rule, place):
                    broken.append(rule)
        names = tuple(rule.name for rule in broken)
        if broken:
            self._strike(names)
            hints = [_hint_sec(rule) for rule in broken]
            refusal = self._ban(now) or RateLimited(
                f"{operation} breaks {', '.join(names)}", retry_after=max(hints) or None
            )
        elif refusal is None and self._random.random() < self._moody:
            refusal = RateLimited(f"{operation} is refused for no reason", retry_after=self._random.uniform(0, 5))
        arrival = Arrival(at=now, operation=operation, cost=cost, keys=keys, broke=names, refused=refusal is not None)
        self.arrivals.append(arrival)
        return arrival, refusal

    def _allows(self, rule: AnyRule, place: _Place) -> bool:
        """Tell whether a rule allows the newest of what was seen, by all that was seen before it."""
        seen = self._seen[place]
        now, total = seen[-1][0], 0
        if isinstance(rule, Concurrency):
            return self._open[place] < rule.limit
        if isinstance(rule, MinGap):
            return len(seen) == 1 or now - seen[-2][0] >= rule.gap_ns
        if isinstance(rule, Window):
            return sum(amount for at, amount in seen if now - at < rule.period_ns) <= rule.limit
        for at, amount in reversed(seen):
            total += amount
            if (total - rule.burst) * rule.period_ns > rule.limit * (now - at + self._spread):
                return False
        return True

    def _strike(self, names: tuple[str, ...]) -> None:
        before = self.violations.total()
        self.violations.update(names)
        if self.violations.total() // self._strikes > before // self._strikes:
            self.bans += 1
            self._banned_until = (
                inf if self._ban_sec is None else self._clock.monotonic_ns() + self._ban_sec * SECOND_NS
            )

    def _ban(self, now: int) -> SourceError | None:
        if now >= self._banned_until:
            return None
        if self._ban_sec is None:
            return AuthenticationFailed("the account is closed: it broke the rules too often")
        return RateLimited("banned for a while", retry_after=(self._banned_until - now) / SECOND_NS)

    async def _sleep(self, bounds_sec: tuple[float, float]) -> None:
        length = round(self._random.uniform(*bounds_sec) * SECOND_NS)
        await self._clock.sleep_until(self._clock.monotonic_ns() + length)


def _place(rule: AnyRule, keys: Mapping[str, str]) -> _Place:
    if missing := [key for key in rule.per if key not in keys]:
        raise ConfigurationError(f"the call must say its {', '.join(missing)} in keys", where=f"rule {rule.name!r}")
    return (rule.name, *(keys[key] for key in rule.per))


def _hint_sec(rule: AnyRule) -> float:
    """Return after how long to ask again, roughly; 0: that cannot be said."""
    if isinstance(rule, MinGap):
        return rule.gap_ns / SECOND_NS
    if isinstance(rule, Gcra):
        return rule.period_ns / rule.limit / SECOND_NS
    return 0.0 if isinstance(rule, Concurrency) else rule.period_ns / SECOND_NS
