"""From settings to a coordinator: rules and policies of each provider."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from market_data_pipeline.breaking import BreakerEvent
from market_data_pipeline.contracts import AnyRule, Clock, Concurrency
from market_data_pipeline.orchestration.coordinator import RateCoordinator
from market_data_pipeline.pacing import MemoryStore, SqliteStore, Store
from market_data_pipeline.settings import PipelineRuntimeSettings
from market_data_pipeline.settings.accounts import breaker_of, rules_of
from market_data_pipeline.settings.coordination import AccountSettings
from market_data_pipeline.source.account import AccountPolicy

STORE: Final = "state/budgets.sqlite"
"""Where in the data directory the processes of a host share what they used."""

_log = logging.getLogger("market_data_pipeline.orchestration")


STATES: Final = {"forced": "forced open", "half_opened": "half open"}
"""What has happened to a breaker as an adjective, where the kind of the event is none."""


def log_breaker(event: BreakerEvent) -> None:
    """Log what happens to a breaker; refused calls are too many for that."""
    if event.kind != "rejected":
        state = STATES.get(event.kind, event.kind)
        _log.warning("the breaker of %s/%s is %s: %s", event.provider, event.operation, state, event.reason)


def coordinator_of(
    settings: PipelineRuntimeSettings,
    *,
    store: Store | None = None,
    clock: Clock | None = None,
    seed: int | None = None,
    on_breaker: Callable[[BreakerEvent], None] = log_breaker,
) -> RateCoordinator:
    """Return the coordinator that settings ask for.

    Args:
        settings: The settings.
        store: Where what was used is kept; left out: where the settings say.
        clock: The time; left out: that of the loop.
        seed: Makes jitter repeatable.
        on_breaker: Is told when a breaker changes or refuses; left out: the log.

    Raises:
        ConfigurationError: The times of a breaker contradict each other.
    """
    given = settings.coordination

    def rules(provider: str, declared: Sequence[AnyRule]) -> Sequence[AnyRule]:
        account = given.providers.get(provider, AccountSettings())
        budget = rules_of(declared, account.rules, provider)
        if settings.enable_rate_coordination:
            return budget
        return [attrs.evolve(rule, operations=()) for rule in budget if isinstance(rule, Concurrency)]

    policies = {
        name: _policy(settings, given.providers.get(name, AccountSettings()), name) for name in ["", *given.providers]
    }
    return RateCoordinator(
        policies=policies,
        rules=rules,
        store=store or _store(settings, clock),
        clock=clock,
        seed=seed,
        on_breaker=on_breaker,
    )


def _store(settings: PipelineRuntimeSettings, clock: Clock | None) -> Store:
    """Return the store of what was used; a file of it is made when a provider with rules is called first."""
    given = settings.coordination
    slack_ns = round(given.jitter_allowance_ms * 1e6)
    if given.store == "memory":
        return MemoryStore(slack_ns=slack_ns)
    path = settings.data_directory / STORE
    return SqliteStore(path, slack_ns=slack_ns, lock_timeout=given.lock_timeout_sec, clock=clock)


def _policy(settings: PipelineRuntimeSettings, account: AccountSettings, name: str) -> AccountPolicy:
    where = "coordination" + (f".providers.{name}" if name else "")
    return AccountPolicy(
        breaker=breaker_of(settings, [account.breaker], f"{where}.breaker"),
        operations={
            operation: breaker_of(settings, [account.breaker, of.breaker], f"{where}.operations.{operation}.breaker")
            for operation, of in account.operations.items()
        },
        cooldown_ns=round(account.cooldown_sec * 1e9),
        adaptive=account.adaptive,
        weights=settings.coordination.tenants,
        max_waiters=account.max_waiters,
    )
