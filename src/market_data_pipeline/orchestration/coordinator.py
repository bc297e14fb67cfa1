"""What all pipelines and streams of a runtime share: one account for each credential at each vendor."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import anyio
import anyio.to_thread

from market_data_pipeline.breaking import BreakerEvent, BreakerPolicy, CircuitBreaker
from market_data_pipeline.contracts import AnyRule, Clock
from market_data_pipeline.errors import ConfigurationError, nearest
from market_data_pipeline.pacing import Budget, CooldownManager, Store, Waits
from market_data_pipeline.pacing.feedback import MAX_COOLDOWN_NS
from market_data_pipeline.source.account import AccountPolicy, VendorAccount

__all__ = ["CooldownManager", "RateCoordinator"]

CLOSE_SEC: Final = 2.0
"""How long giving back what is held may take; after that the end of the process gives it back."""

EARLIER = "request"
"""The operation of programs that name none."""


class RateCoordinator:
    """The accounts of a process: whoever calls a vendor with a credential shares its budget and its breakers.

    Args:
        policies: How the accounts of a provider are looked after; those of "" where it is not named.
        rules: Returns the budget of a provider, given the one that its plugin declares; left out: that one.
        store: Where what was used is kept; left out: in this process.
        clock: The time; left out: that of the loop.
        seed: Makes jitter repeatable.
        on_breaker: Is told when a breaker changes or refuses.
    """

    def __init__(
        self,
        *,
        policies: Mapping[str, AccountPolicy] | None = None,
        rules: Callable[[str, Sequence[AnyRule]], Sequence[AnyRule]] = lambda _, declared: declared,
        store: Store | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        on_breaker: Callable[[BreakerEvent], None] | None = None,
    ) -> None:
        self._policies = policies or {}
        self._rules = rules
        self._store = store
        self._clock = clock
        self._chance = random.Random(seed)  # noqa: S311 (jitter, no secret)
        self._on_breaker = on_breaker
        self._accounts: dict[tuple[str, str], VendorAccount] = {}
        self._cooldown_sec: dict[str, float] = {}
        self.on_new_breaker: Callable[[VendorAccount, CircuitBreaker], None] = lambda *_: None
        """Is told of each breaker before its first call."""

    def account(self, provider: str, *, credential: str = "", rules: Sequence[AnyRule] = ()) -> VendorAccount:
        """Return the account of a credential, the same for all who have that one.

        Args:
            provider: The provider's name.
            credential: What tells two accounts of it apart: a hash, never the secret.
            rules: The budget that its plugin declares; it counts when the account is made.

        Raises:
            ConfigurationError: The settings have a rule that does not fit.
        """
        if (provider, credential) in self._accounts:
            return self._accounts[provider, credential]
        budget = self._rules(provider, rules)
        store = self._store if budget else None  # where nothing is limited there is nothing to share
        policy = self._policies.get(provider) or self._policies.get("")
        return self._open(provider, credential, budget, policy, store)

    def _open(
        self,
        provider: str,
        credential: str,
        rules: Sequence[AnyRule],
        policy: AccountPolicy | None,
        store: Store | None = None,
    ) -> VendorAccount:
        """Return a new account, which takes the place of one of the same name."""
        self._accounts[provider, credential] = account = VendorAccount(
            provider,
            credential=credential,
            rules=rules,
            policy=policy,
            store=store,
            clock=self._clock,
            chance=self._chance,
            on_breaker=self._on_breaker,
            on_new_breaker=self._new_breaker,
        )
        return account

    def _new_breaker(self, account: VendorAccount, breaker: CircuitBreaker) -> None:
        self.on_new_breaker(account, breaker)  # as it is set by then

    def accounts(self) -> tuple[VendorAccount, ...]:
        """Return the accounts that were used, by name."""
        return tuple(sorted(self._accounts.values(), key=lambda account: account.name))

    def explain(self) -> tuple[Waits, ...]:
        """Return who waits at which account: for which rule, and how long at least."""
        return tuple(waits for account in self.accounts() for waits in account.limiter.explain())

    async def close(self) -> None:
        """Give back what is held, so that other processes need not find out that this one has ended. Idempotent."""
        if self._store is not None:
            with anyio.move_on_after(CLOSE_SEC, shield=True):
                await anyio.to_thread.run_sync(self._store.close, abandon_on_cancel=True)

    # --- the calls of earlier programs ------------------------------------------------------------------------------

    def register_provider(  # noqa: PLR0917 (their order is that of earlier programs)
        self,
        name: str,
        capacity: int = 60,
        refill_rate: float = 60,
        cooldown_sec: float = 600,
        breaker_threshold: int = 5,
        breaker_timeout: float = 60.0,
    ) -> None:
        """Set up a provider for `acquire`, in this process alone; again: with other numbers, and nothing used.

        Args:
            name: Its name.
            capacity: How many may go out at once after a pause.
            refill_rate: How many a second after that.
            cooldown_sec: How long a cooldown is unless it is said, seconds.
            breaker_threshold: Failures in a row that open its breaker.
            breaker_timeout: How long it then refuses, seconds.

        Raises:
            ConfigurationError: A number is not above 0.
        """
        policy = AccountPolicy(
            breaker=BreakerPolicy.of_earlier_programs(breaker_threshold, breaker_timeout, 1), adaptive=False
        )
        self._open(name, "", [Budget(refill_rate, capacity).rule()], policy)
        self._cooldown_sec[name] = cooldown_sec

    async def acquire(self, provider: str, n: int = 1) -> None:
        """Wait until `n` requests may go out, through cooldowns; `account(...).call` also reports how they end.

        Raises:
            ConfigurationError: The provider is not registered, or never allows so many at once.
            CircuitBreakerOpen: Too many of its requests failed.
            Overloaded: Too many wait.
        """
        account = self._registered(provider)
        if breaker := account.breaker(EARLIER):
            breaker.check()
        (await account.limiter.acquire(EARLIER, cost=n)).release()

    async def trigger_cooldown(self, provider: str, scope: str, duration_sec: float | None = None) -> None:  # noqa: ARG002
        """Let nothing of a provider out for a while, seconds; the scope is for the caller's own messages.

        Raises:
            ConfigurationError: The provider is not registered.
        """
        length = self._cooldown_sec.get(provider, 600.0) if duration_sec is None else duration_sec
        self._registered(provider).limiter.cool(round(min(length * 1e9, MAX_COOLDOWN_NS)))

    async def record_failure(self, provider: str) -> None:
        """Count a failed request against the provider's breaker.

        Raises:
            ConfigurationError: The provider is not registered.
        """
        if breaker := self._registered(provider).breaker(EARLIER):
            await breaker.record_failure()

    async def record_success(self, provider: str) -> None:
        """Count a request that succeeded.

        Raises:
            ConfigurationError: The provider is not registered.
        """
        if breaker := self._registered(provider).breaker(EARLIER):
            await breaker.record_success()

    def get_provider_state(self, provider: str) -> dict[str, Any]:
        """Return "provider", "circuit_state" and "in_cooldown" of a provider; "error" if it is not registered."""
        account = self._accounts.get((provider, ""))
        if account is None:
            return {"provider": provider, "error": "not registered"}
        breaker = account.breaker(EARLIER)
        return {
            "provider": provider,
            "circuit_state": breaker.get_state() if breaker else "closed",
            "in_cooldown": account.limiter.cooldown_ns() > 0,
        }

    def _registered(self, provider: str) -> VendorAccount:
        """Return the account of a provider.

        Raises:
            ConfigurationError: There is none.
        """
        account = self._accounts.get((provider, ""))
        if account is None:
            names = [name for name, credential in self._accounts if not credential]
            raise ConfigurationError(
                f"provider {provider!r} is not registered: call register_provider first; {nearest(provider, names)}"
            )
        return account
