"""What is wrong with what a person wrote: where, what, and what would be right; without the secrets in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from market_data_pipeline.errors import nearest
from market_data_pipeline.plugins.guard import describe
from market_data_pipeline.settings.secrets import is_hidden, is_secret, secret_texts
from market_data_pipeline.settings.shape import Location, models, names, types_at

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Place: TypeAlias = Callable[[Location], str]
"""Tells of a location where it was written, such as a file, line and column, or the name of a variable."""


def mistakes(error: ValidationError, model: type[BaseModel], values: Mapping[str, Any]) -> dict[Location, str]:
    """Return by location what is wrong with `values`, with the nearest names for an unknown key."""
    found: dict[Location, list[Any]] = {}
    for mistake in error.errors(include_url=False):
        found.setdefault(_location(mistake, values), []).append(mistake)
    secrets = secret_texts(model, values)
    return {
        location: _explain(location, several, model, secrets)
        for location, several in found.items()
        # pydantic also calls a list too short that has a wrong item
        if not any(location == other[: len(location)] != other for other in found)
    }


def explain(
    error: ValidationError, model: type[BaseModel], values: Mapping[str, Any], *, place: Place | None = None
) -> str:
    """Return what is wrong with `values` in one line, one mistake after the other."""
    return "; ".join(placed(mistakes(error, model, values), place))


def told(error: BaseException, model: type[BaseModel], values: Mapping[str, Any]) -> str:
    """Return what a model raised that is no mistake in `values`; its type alone where its text holds a secret."""
    text = describe(error)
    return type(error).__name__ if any(secret in text for secret in secret_texts(model, values)) else text


def placed(found: Mapping[Location, str], place: Place | None) -> list[str]:
    """Return mistakes with the place of each before it."""
    return [f"{place(location)}: {text}" if place else text for location, text in found.items()]


def _location(mistake: Any, values: Any) -> Location:
    """Return where a mistake is in what was written; pydantic adds the names of a union's members."""
    location: Location = ()
    for part in mistake["loc"]:
        try:
            values = values[part]
        except (LookupError, TypeError):
            if part != mistake["loc"][-1] or mistake["type"] != "missing":
                continue
        location += (part,)
    return location


def _explain(location: Location, several: Sequence[Any], model: type[BaseModel], secrets: Collection[str]) -> str:
    key = ".".join(map(str, location))
    first = several[0]
    if first["type"] == "extra_forbidden":
        known = _keys(model, location[:-1])
        return f"unknown key {key!r}" + (f"; {nearest(str(location[-1]), known)}" if known else "")
    if first["type"] == "missing":
        return f"{key!r} is missing"
    what = " or ".join(mistake["msg"].removeprefix("Value error, ") for mistake in several)
    what = what.replace("a valid tuple", "a list, such as [a, b]")  # YAML and JSON know no tuples
    if any(secret in what for secret in secrets):
        what = "refused by its validator, whose message holds a secret"
    if is_hidden(model, location):
        reference = ", or {env: NAME} or {file: PATH}" if any(map(is_secret, types_at(model, location))) else ""
        return f"{key or 'settings'}: {what}{reference}"
    quotes = ": write it in quotes" if first["type"] == "string_type" and len(several) == 1 else ""
    shown = "" if isinstance(first["input"], Mapping) else f", not {first['input']!r:.100}"
    return f"{key}: {what}{shown}{quotes}" if key else f"{what}{shown}"


def _keys(model: type[BaseModel], location: Location) -> Collection[str]:
    """Return the keys that a mapping at a location can have; none where that cannot be told."""
    return next((names(one) for one in models(types_at(model, location))), ())
