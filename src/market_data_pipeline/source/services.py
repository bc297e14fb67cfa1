"""What the core gives to a plugin: clock, randomness, log, connection epochs, and leave to call its vendor."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Any, Protocol

import attrs

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import AnyRule, Clock, VendorCalls
from market_data_pipeline.plugins import ProviderSpec, SourceSpec
from market_data_pipeline.plugins.budget import budget_of
from market_data_pipeline.source.credential import credential_of


@attrs.define
class Epochs:
    """Connection generations: microseconds of the wall clock, and always greater than the one before.

    So an epoch is new after a restart too, unless the clock was set back by more than the time in between.
    """

    _clock: Clock
    _last: int = 0

    def next(self) -> int:
        """Return a new epoch."""
        self._last = max(self._last + 1, self._clock.time_ns() // 1000)
        return self._last


class Accounts(Protocol):
    """The accounts of all providers."""

    def account(self, provider: str, *, credential: str, rules: Sequence[AnyRule]) -> VendorCalls:
        """Return the account of a credential, the same for all who have that one."""
        ...


@attrs.frozen
class LocalAccounts:
    """Accounts of one process, with the rules of the plugins and the usual breakers."""

    _clock: Clock
    _made: dict[tuple[str, str], VendorCalls] = attrs.field(factory=dict, init=False)

    def account(self, provider: str, *, credential: str, rules: Sequence[AnyRule]) -> VendorCalls:
        """Return the account of a credential, the same for all who have that one."""
        from market_data_pipeline.source.account import VendorAccount

        key = provider, credential
        if key not in self._made:
            self._made[key] = VendorAccount(provider, credential=credential, rules=rules, clock=self._clock)
        return self._made[key]


@attrs.define(slots=False)
class CoreServices:
    """The `Services` of one plugin."""

    clock: Clock
    random: random.Random
    log: logging.Logger
    _epochs: Epochs
    _accounts: Accounts
    _provider: str
    _credential: str = ""
    _rules: Sequence[AnyRule] = ()

    def epoch(self) -> int:
        """Return a new connection generation."""
        return self._epochs.next()

    def call(
        self,
        operation: str,
        *,
        cost: int = 1,
        keys: Mapping[str, str] | None = None,
        priority: int = 5,
        deadline: int | None = None,
        attempt: int = 1,
    ) -> AbstractAsyncContextManager[None]:
        """Wait until one request to the vendor may go out; how the block ends is the vote on it."""
        return self._account.call(
            operation, cost=cost, keys=keys, priority=priority, deadline=deadline, attempt=attempt
        )

    def lease(self, resource: str, n: int = 1, *, deadline: int | None = None) -> AbstractAsyncContextManager[None]:
        """Hold something that the vendor limits for as long as the block lasts."""
        return self._account.lease(resource, n, deadline=deadline)

    @cached_property
    def _account(self) -> VendorCalls:
        return self._accounts.account(self._provider, credential=self._credential, rules=self._rules)


@attrs.frozen
class ServiceFactory:
    """Makes the services of each plugin of one process; they share clock, epochs and accounts."""

    clock: Clock = attrs.field(factory=SystemClock)
    seed: int | None = None
    """Makes every plugin's randomness repeatable."""
    accounts: Accounts = attrs.field(default=attrs.Factory(lambda self: LocalAccounts(self.clock), takes_self=True))
    _epochs: Epochs = attrs.field(default=attrs.Factory(lambda self: Epochs(self.clock), takes_self=True))

    def of(self, name: str, *, credential: str = "", rules: Sequence[AnyRule] = ()) -> CoreServices:
        """Return the services of the provider or source of that name.

        Args:
            name: The name.
            credential: What tells accounts of it apart: a hash, never the secret.
            rules: The budget of the account.
        """
        seed = None if self.seed is None else f"{self.seed}:{name}"
        log = logging.getLogger(f"market_data_pipeline.plugin.{name}")
        chance = random.Random(seed)  # noqa: S311 (jitter, no secret)
        return CoreServices(self.clock, chance, log, self._epochs, self.accounts, name, credential, rules)

    def of_spec(self, spec: ProviderSpec | SourceSpec, settings: Any) -> CoreServices:
        """Return the services of a provider or source with these settings."""
        return self.of(spec.name, credential=credential_of(spec, settings), rules=budget_of(spec))
