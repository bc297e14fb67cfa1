"""One credential at one vendor: its budget, its breakers and its retries, behind `call` and `lease`."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import attrs

from market_data_pipeline.breaking import BreakerEvent, BreakerPolicy, BreakerStatus, CircuitBreaker
from market_data_pipeline.breaking.votes import asked_for_ns
from market_data_pipeline.contracts import Clock
from market_data_pipeline.contracts.budget import SECOND_NS, AnyRule
from market_data_pipeline.errors import BudgetExhausted, CapacityExceeded, PluginContractError, RateLimited
from market_data_pipeline.pacing import Grant, Limiter, RetryBudget, Store, Waits
from market_data_pipeline.pacing.feedback import MAX_COOLDOWN_NS
from market_data_pipeline.pacing.routes import NO_KEYS
from market_data_pipeline.source.patience import waiting_for_budget
from market_data_pipeline.source.tenant import tenant

MAX_OPERATIONS: Final = 256
"""How many kinds of requests an account may have."""

COOLDOWN_JITTER: Final = 0.1
"""By which share a cooldown is made longer at random, so that not all come back at once."""

_log = logging.getLogger("market_data_pipeline.source")


@attrs.frozen(kw_only=True)
class AccountPolicy:
    """How an account is looked after."""

    breaker: BreakerPolicy | None = attrs.field(factory=BreakerPolicy)
    """The breakers of its operations; None: there are none."""
    operations: Mapping[str, BreakerPolicy | None] = attrs.field(factory=dict)
    """The breakers of some operations, where they differ."""
    cooldown_ns: int = 5 * SECOND_NS
    """How long an operation rests after a refusal for its rate, if the vendor does not say; doubled each time."""
    adaptive: bool = True
    """Whether such a refusal also shrinks the rate for a while."""
    weights: Mapping[str, float] = attrs.field(factory=dict)
    """The weights of tenants; 1.0 unless named."""
    max_waiters: int = 10_000
    """How many requests may wait."""


@attrs.frozen(kw_only=True)
class AccountStatus:
    """A look at one account."""

    name: str
    """The provider, and a hash of the credential where there are several."""
    in_flight: int
    """Requests that are out or wait."""
    waits: tuple[Waits, ...]
    """Who waits for leave to ask, by arrival."""
    breakers: tuple[BreakerStatus, ...]
    """Those of the operations that were called, by name."""


class VendorAccount:
    """One credential at one vendor; all who use it share what the vendor allows it.

    Args:
        provider: The provider's name.
        credential: What tells two accounts of it apart: a hash, never the secret.
        rules: Its budget.
        policy: How it is looked after.
        store: Where what was used is kept; left out: in this process.
        clock: The time; left out: the loop's.
        chance: Where jitter is drawn from; left out: other numbers in each run.
        on_breaker: Is told when a breaker changes or refuses.
        on_new_breaker: Is told of each breaker before its first call.

    Raises:
        ConfigurationError: A rule cannot have its name or time, as `check_budget` says.
    """

    def __init__(
        self,
        provider: str,
        *,
        credential: str = "",
        rules: Sequence[AnyRule] = (),
        policy: AccountPolicy | None = None,
        store: Store | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
        on_breaker: Callable[[BreakerEvent], None] | None = None,
        on_new_breaker: Callable[[VendorAccount, CircuitBreaker], None] = lambda *_: None,
    ) -> None:
        self.provider: str = provider
        self.name: str = f"{provider}/{credential}" if credential else provider
        self.policy: AccountPolicy = policy or AccountPolicy()
        self.limiter: Limiter = Limiter(
            self.name,
            rules,
            store=store,
            clock=clock,
            weight_of=lambda name: self.policy.weights.get(name, 1.0),
            max_waiters=self.policy.max_waiters,
            adaptive=self.policy.adaptive,
        )
        self.retries: RetryBudget = RetryBudget(self.name)
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 (jitter, no secret)
        self._on_breaker = on_breaker
        self._on_new_breaker = on_new_breaker
        self._breakers: dict[str, CircuitBreaker | None] = {}
        self._refusals: dict[str, _Refusals] = {}

    @asynccontextmanager
    async def call(
        self,
        operation: str,
        *,
        cost: int = 1,
        keys: Mapping[str, str] | None = None,
        priority: int = 5,
        deadline: int | None = None,
        attempt: int = 1,
    ) -> AsyncIterator[None]:
        """Wait until one request may go out; how the block ends is the vote. See `Services.call`."""
        breaker = self.breaker(operation)
        if breaker:
            breaker.check()  # before anything is waited for
        with self.retries.flight(operation, retry=attempt > 1):
            with waiting_for_budget():
                grant = await self.limiter.acquire(
                    operation,
                    cost=cost,
                    keys=keys or NO_KEYS,
                    tenant=tenant.get(),
                    priority=priority,
                    deadline=deadline,
                )
            try:
                permit = breaker.acquire() if breaker else None  # its state may have changed meanwhile
            except BaseException:
                grant.refund()
                raise
            error: BaseException | None = None
            try:
                yield
            except BaseException as raised:
                error = raised
                raise
            finally:
                try:
                    self._note(operation, grant, error)
                    if permit:
                        permit.release(error)
                finally:
                    grant.release()

    @asynccontextmanager
    async def lease(self, resource: str, n: int = 1, *, deadline: int | None = None) -> AsyncIterator[None]:
        """Hold something that the vendor limits. See `Services.lease`.

        Raises:
            CapacityExceeded: It is in use.
        """
        try:
            with waiting_for_budget():
                grant = await self.limiter.lease(resource, n, tenant=tenant.get(), deadline=deadline)
        except BudgetExhausted as error:
            raise CapacityExceeded(
                f"{self.name}: {n} more of {resource} are not free; release some, use another provider, or raise the"
                f" limit of the rule {error.rule!r} if the vendor allows more",
                source=self.provider,
            ) from error
        try:
            yield
        finally:
            grant.release()

    def breaker(self, operation: str) -> CircuitBreaker | None:
        """Return the breaker of an operation; None: it has none.

        Raises:
            PluginContractError: There are too many operations for kinds of requests.
        """
        try:
            return self._breakers[operation]
        except KeyError:
            pass
        if len(self._breakers) >= MAX_OPERATIONS:
            raise PluginContractError(
                f"{self.name} calls more than {MAX_OPERATIONS} operations, now {operation!r}: an operation is a kind of"
                " request; say in keys what it is about",
                plugin=self.provider,
            )
        policy = self.policy.operations.get(operation, self.policy.breaker)
        made = None
        if policy is not None:
            made = CircuitBreaker(
                policy=policy,
                provider=self.name,
                operation=operation,
                clock=self._clock,
                random=self._chance,
                on_event=self._on_breaker,
            )
        self._breakers[operation] = made
        if made is not None:
            self._on_new_breaker(self, made)
        return made

    def breakers(self) -> tuple[CircuitBreaker, ...]:
        """Return the breakers of the operations that were called, by name."""
        return tuple(breaker for _, breaker in sorted(self._breakers.items()) if breaker)

    def status(self) -> AccountStatus:
        """Return a look at it."""
        return AccountStatus(
            name=self.name,
            in_flight=self.retries.calls,
            waits=self.limiter.explain(),
            breakers=tuple(breaker.status() for breaker in self.breakers()),
        )

    def _note(self, operation: str, grant: Grant, error: BaseException | None) -> None:
        """Learn from how a request ended."""
        refusals = self._refusals.setdefault(operation, _Refusals())
        if error is None:
            refusals.succeeded(grant.at)
        elif refused := rate_limited(error):
            news = refusals.last < grant.at
            own_ns = self.policy.cooldown_ns << refusals.refused(grant.at)
            length = min(asked_for_ns(refused) or own_ns, MAX_COOLDOWN_NS)
            cooldown_ns = round(length * (1 + COOLDOWN_JITTER * self._chance.random()))
            self.limiter.refused(grant, cooldown_ns=cooldown_ns)
            if news:
                _log.warning(
                    "%s/%s rests for %.1f s at least, since the vendor refused a call for its rate: %s",
                    self.name,
                    operation,
                    cooldown_ns / 1e9,
                    refused,
                )


@attrs.define
class _Refusals:
    """How often in a row an operation was refused for its rate."""

    row: int = 0
    last: int = -1

    def refused(self, at: int) -> int:
        """Return how many refusals came before this one; those of requests that went out together are one."""
        if at > self.last:
            self.row = min(self.row + 1, 20)
            self.last = at
        return self.row - 1

    def succeeded(self, at: int) -> None:
        if at > self.last:
            self.row = 0


def rate_limited(error: BaseException) -> RateLimited | None:
    """Return the refusal for its rate in an error or in a group of them, the one with the longest wait."""
    if isinstance(error, RateLimited):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    found = [refused for each in error.exceptions if (refused := rate_limited(each))]
    return max(found, key=asked_for_ns, default=None)
