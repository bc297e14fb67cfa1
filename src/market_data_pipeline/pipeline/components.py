"""From a name and settings to an object: what the builder and the runtime do with every registered spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market_data_pipeline.plugins import ComponentSpec
from market_data_pipeline.settings.validation import validated

__all__ = ["make", "validated"]


def make(spec: ComponentSpec, values: Mapping[str, Any], *, where: str) -> Any:
    """Return a new component of a spec.

    Raises:
        ConfigurationError: Its settings are wrong.
    """
    settings = validated(spec, values, where=where)
    factory = spec.resolve_factory()
    return factory(
        **({} if settings is None else {name: getattr(settings, name) for name in type(settings).model_fields})
    )
