"""From a name and settings to an object: what the builder and the runtime do with every registered spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_data_pipeline.plugins import ComponentSpec
from market_data_pipeline.settings.validation import validated

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["make", "validated"]


def make(spec: ComponentSpec, settings: BaseModel | None) -> Any:
    """Return a new component of a spec, made with the fields of its settings."""
    factory = spec.resolve_factory()
    return factory(
        **({} if settings is None else {name: getattr(settings, name) for name in type(settings).model_fields})
    )
