"""The whole budget of a provider or source: the rules that it declares, and its held limits as rules."""

from __future__ import annotations

from market_data_pipeline.contracts import AnyRule, Concurrency
from market_data_pipeline.plugins.specs import ProviderSpec, SourceSpec


def budget_of(spec: ProviderSpec | SourceSpec) -> tuple[AnyRule, ...]:
    """Return the rules of a provider or source, and one for each of its held limits that has none."""
    rules = spec.budget if isinstance(spec, ProviderSpec) else ()
    named = {rule.name for rule in rules}
    held = [
        Concurrency(name=name, limit=limit, operations=())
        for name, limit in spec.capabilities.held.items()
        if name not in named
    ]
    return (*rules, *held)
