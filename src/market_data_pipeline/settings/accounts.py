"""From what settings say of an account to the rules of its budget and the policies of its breakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from market_data_pipeline.breaking import BreakerPolicy
from market_data_pipeline.contracts import AnyRule
from market_data_pipeline.contracts.budget import RULES
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.settings.coordination import BreakerSettings, RuleSettings
from market_data_pipeline.settings.tree import PipelineRuntimeSettings

BASE_WAIT_SEC: Final = 5.0
"""How long a breaker refuses at first, seconds, unless it is to refuse for less at most."""

TIMES: Final = {
    "period_sec": "period_ns",
    "gap_sec": "gap_ns",
    "window_sec": "window_ns",
    "base_wait_sec": "base_wait_ns",
    "max_wait_sec": "max_wait_ns",
    "max_probe_sec": "max_probe_ns",
}
"""What is written in seconds."""


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
        given = {**base, **values}
        known = attrs.fields_dict(RULES[kind])
        if lacking := [each for each, field in known.items() if field.default is attrs.NOTHING and each not in given]:
            raise ConfigurationError(f"a rule of kind {kind} needs {_as_set(lacking)}", where=where)
        if strange := [each for each in given if each not in known]:
            raise ConfigurationError(f"a rule of kind {kind} has no {_as_set(strange)}", where=where)
        by_name[name] = RULES[kind](**given)
    return tuple(by_name.values())


def breaker_of(
    settings: PipelineRuntimeSettings, layers: Sequence[BreakerSettings], where: str
) -> BreakerPolicy | None:
    """Return the breaker that layers of settings make over those for all, the last one on top; None: there is none.

    Raises:
        ConfigurationError: They contradict each other.
    """
    values: dict[str, Any] = {
        "threshold": settings.circuit_breaker_threshold,
        "base_wait_sec": min(BASE_WAIT_SEC, settings.circuit_breaker_timeout_sec),
        "max_wait_sec": settings.circuit_breaker_timeout_sec,
    }
    for layer in [settings.coordination.breaker, *layers]:
        values |= layer.model_dump(exclude_none=True)
    if not values.pop("enabled", True):
        return None
    try:
        return BreakerPolicy(**_in_ns(values))
    except ConfigurationError as error:
        raise ConfigurationError(str(error), where=where) from None


def _as_set(names: Sequence[str]) -> str:
    """Return fields of a rule by the names of their settings."""
    written = {field: setting for setting, field in TIMES.items()}
    return " and ".join(written.get(name, name) for name in names)


def _in_ns(values: Mapping[str, Any]) -> dict[str, Any]:
    return {TIMES.get(name, name): round(value * 1e9) if name in TIMES else value for name, value in values.items()}
