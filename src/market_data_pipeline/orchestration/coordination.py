"""From settings to a coordinator: rules and policies of each provider."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from market_data_pipeline.breaking import BreakerEvent, BreakerPolicy
from market_data_pipeline.contracts import AnyRule, Clock, Concurrency, Gcra, MinGap, Window
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.orchestration.coordinator import RateCoordinator
from market_data_pipeline.pacing import MemoryStore, SqliteStore, Store
from market_data_pipeline.settings import PipelineRuntimeSettings
from market_data_pipeline.settings.coordination import AccountSettings, BreakerSettings, RuleSettings
from market_data_pipeline.source.account import AccountPolicy

BASE_WAIT_SEC: Final = 5.0
"""How long a breaker refuses at first, seconds, unless it is to refuse for less at most."""

STORE: Final = "state/budgets.sqlite"
"""Where in the data directory the processes of a host share what they used."""

_log = logging.getLogger("market_data_pipeline.orchestration")

RULES: Final[dict[str, type[Any]]] = {"window": Window, "gcra": Gcra, "concurrency": Concurrency, "min_gap": MinGap}

TIMES: Final = {
    "period_sec": "period_ns",
    "gap_sec": "gap_ns",
    "window_sec": "window_ns",
    "base_wait_sec": "base_wait_ns",
    "max_wait_sec": "max_wait_ns",
    "max_probe_sec": "max_probe_ns",
}
"""What is written in seconds."""


def coordinator_of(
    settings: PipelineRuntimeSettings,
    *,
    clock: Clock | None = None,
    seed: int | None = None,
    on_breaker: Callable[[BreakerEvent], None] | None = None,
) -> RateCoordinator:
    """Return the coordinator that settings ask for.

    Raises:
        ConfigurationError: The times of a breaker contradict each other.
    """
    given = settings.coordination

    def rules(provider: str, declared: Sequence[AnyRule]) -> Sequence[AnyRule]:
        account = given.providers.get(provider, AccountSettings())
        return rules_of(declared, account.rules, provider) if settings.enable_rate_coordination else ()

    usual = {
        "threshold": settings.circuit_breaker_threshold,
        "base_wait_sec": min(BASE_WAIT_SEC, settings.circuit_breaker_timeout_sec),
        "max_wait_sec": settings.circuit_breaker_timeout_sec,
    }
    policies = {
        name: _policy(settings, usual, given.providers.get(name, AccountSettings()), name)
        for name in ["", *given.providers]
    }
    return RateCoordinator(
        policies=policies, rules=rules, store=_store(settings, clock), clock=clock, seed=seed, on_breaker=on_breaker
    )


def log_breaker(event: BreakerEvent) -> None:
    """Log what happens to a breaker; refused calls are too many for that."""
    if event.kind != "rejected":
        _log.warning("the breaker of %s/%s is %s: %s", event.provider, event.operation, event.kind, event.reason)


def _store(settings: PipelineRuntimeSettings, clock: Clock | None) -> Store:
    """Return the store of what was used; a file of it is made when a provider with rules is called first."""
    given = settings.coordination
    slack_ns = round(given.jitter_allowance_ms * 1e6)
    if given.store == "memory":
        return MemoryStore(slack_ns=slack_ns)
    path = settings.data_directory / STORE
    return SqliteStore(path, slack_ns=slack_ns, lock_timeout=given.lock_timeout_sec, clock=clock)


def rules_of(
    declared: Sequence[AnyRule], changes: Mapping[str, RuleSettings | None], provider: str
) -> tuple[AnyRule, ...]:
    """Return a budget in which rules are changed, added or taken away by name.

    Raises:
        ConfigurationError: A new rule lacks something, or one has what its kind does not know.
    """
    by_name = {rule.name: rule for rule in declared}
    for name, change in changes.items():
        where = f"coordination.providers.{provider}.rules.{name}"
        old = by_name.pop(name, None)
        if change is None:
            continue
        values = _in_ns(change.model_dump(exclude_none=True))
        kind = values.pop("kind", old and old.kind)
        if kind is None:
            raise ConfigurationError(
                f"the plugin declares no such rule, so say its kind: {', '.join(RULES)}", where=where
            )
        base = attrs.asdict(old) if old is not None and old.kind == kind else {"name": name}
        try:
            by_name[name] = RULES[kind](**{**base, **values})
        except TypeError as error:
            raise ConfigurationError(f"this is no rule of kind {kind}: {error}", where=where) from None
    return tuple(by_name.values())


def _policy(
    settings: PipelineRuntimeSettings, usual: Mapping[str, Any], account: AccountSettings, name: str
) -> AccountPolicy:
    where = "coordination" + (f".providers.{name}" if name else "")
    layers = [settings.coordination.breaker, account.breaker]
    return AccountPolicy(
        breaker=_breaker(usual, layers, f"{where}.breaker"),
        operations={
            operation: _breaker(usual, [*layers, of.breaker], f"{where}.operations.{operation}.breaker")
            for operation, of in account.operations.items()
        },
        cooldown_ns=round(account.cooldown_sec * 1e9),
        adaptive=account.adaptive,
        weights=settings.coordination.tenants,
        max_waiters=account.max_waiters,
    )


def _breaker(usual: Mapping[str, Any], layers: Sequence[BreakerSettings], where: str) -> BreakerPolicy | None:
    """Return the breaker that several layers of settings make, the last one on top; None: there is none.

    Raises:
        ConfigurationError: They contradict each other.
    """
    values = dict(usual)
    for layer in layers:
        values |= layer.model_dump(exclude_none=True)
    if not values.pop("enabled", True):
        return None
    try:
        return BreakerPolicy(**_in_ns(values))
    except ConfigurationError as error:
        raise ConfigurationError(str(error), where=where) from None


def _in_ns(values: Mapping[str, Any]) -> dict[str, Any]:
    return {TIMES.get(name, name): round(value * 1e9) if name in TIMES else value for name, value in values.items()}
