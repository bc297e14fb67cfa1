"""The settings of one provider, source or component, checked by its own model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from market_data_pipeline.errors import ConfigurationError, nearest
from market_data_pipeline.plugins import Spec
from market_data_pipeline.settings.mistakes import Place, mistakes, placed, told
from market_data_pipeline.settings.secrets import resolved
from market_data_pipeline.settings.shape import Location, field_of, names
from market_data_pipeline.settings.variables import parsed

if TYPE_CHECKING:
    from pydantic import BaseModel


def validated(spec: Spec, values: Mapping[str, Any], *, where: str, place: Place | None = None) -> BaseModel | None:
    """Return the settings of a spec, checked by its own model; None where it has none.

    Args:
        spec: Whose settings.
        values: What a person wrote; a secret may be a reference.
        where: What stands before the message of an error.
        place: Tells of a location in `values` where it was written; then that stands before each mistake instead.

    Raises:
        ConfigurationError: A key is unknown or a value is wrong; it says which, and what would be right.
    """
    settings, found = check(spec, values)
    if found:
        raise ConfigurationError("; ".join(placed(found, place)), where="" if place else where)
    return settings


def check(spec: Spec, values: Mapping[str, Any]) -> tuple[BaseModel | None, dict[Location, str]]:
    """Return the settings of a spec, or by location what is wrong with them."""
    from pydantic import ValidationError

    model = spec.resolve_settings()
    if model is None:
        text = f"{spec.name} takes no settings, got {', '.join(sorted(values))}"
        return None, {(): text} if values else {}
    plain, found = resolved(model, parsed(model, values))
    found |= _unknown(model, values)
    try:
        settings: BaseModel = model.model_validate(plain)
    except ValidationError as error:
        return None, {**mistakes(error, model, plain), **found}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's validators and defaults
        return None, {(): f"its settings raised {told(error, model, plain)}; tell the author of {spec.plugin!r}"}
    return (None if found else settings), found


def _unknown(model: type[BaseModel], values: Mapping[str, Any]) -> dict[Location, str]:
    """Return what is wrong with keys that a model would ignore: who writes one means something by it."""
    if model.model_config.get("extra", "ignore") != "ignore":
        return {}
    return {
        (key,): f"unknown key {key!r}; {nearest(key, names(model))}" for key in values if field_of(model, key) is None
    }
