"""From a name and settings to an object: what the builder and the runtime do with every registered spec."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from market_data_pipeline.errors import ConfigurationError, nearest
from market_data_pipeline.plugins import ComponentSpec, Spec

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


Location = tuple[int | str, ...]
"""Where something is in plain data: keys of mappings and indexes of lists, from the outside in."""


def validated(
    spec: Spec, values: Mapping[str, Any], *, where: str, place: Callable[[Location], str] | None = None
) -> BaseModel | None:
    """Return the settings of a spec, checked by its own model; None where it has none.

    Args:
        spec: Whose settings.
        values: What a person wrote.
        where: What stands before the message of an error.
        place: Tells of a location in `values` where it was written; then that stands before each mistake instead.

    Raises:
        ConfigurationError: A key is unknown or a value is wrong; it says which, and what would be right.
    """
    from pydantic import ValidationError

    model = spec.resolve_settings()
    if model is None:
        if values:
            raise ConfigurationError(
                f"{spec.name} takes no settings, got {', '.join(sorted(values))}", where=place(()) if place else where
            )
        return None
    try:
        settings: BaseModel = model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigurationError(explain(error, model, values, place=place), where="" if place else where) from None
    return settings


def explain(
    error: ValidationError,
    model: type[BaseModel],
    values: Mapping[str, Any],
    *,
    place: Callable[[Location], str] | None = None,
) -> str:
    """Return what is wrong with `values`, one mistake after the other, with the nearest names for an unknown key."""
    mistakes: dict[Location, list[Any]] = {}
    for mistake in error.errors(include_url=False):
        mistakes.setdefault(_location(mistake, values), []).append(mistake)
    return "; ".join(
        f"{place(location)}: {_explain(location, several, model)}" if place else _explain(location, several, model)
        for location, several in mistakes.items()
        # pydantic also calls a list too short that has a wrong item
        if not any(location == other[: len(location)] != other for other in mistakes)
    )


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


def _explain(location: Location, mistakes: Sequence[Any], model: type[BaseModel]) -> str:
    key = ".".join(map(str, location))
    first = mistakes[0]
    if first["type"] == "extra_forbidden":
        known = _fields(model, location[:-1])
        return f"unknown key {key!r}" + (f"; {nearest(str(location[-1]), known)}" if known else "")
    if first["type"] == "missing":
        return f"{key!r} is missing"
    quotes = ": write it in quotes" if first["type"] == "string_type" and len(mistakes) == 1 else ""
    what = " or ".join(mistake["msg"].removeprefix("Value error, ") for mistake in mistakes)
    shown = "" if isinstance(first["input"], Mapping) else f", not {first['input']!r:.100}"
    return f"{key}: {what}{shown}{quotes}" if key else f"{what}{shown}"


def _fields(model: type[BaseModel], location: Location) -> Collection[str]:
    """Return the keys that a mapping at a location can have; none where that cannot be told."""
    for part in location:
        if isinstance(part, str):
            field = model.model_fields.get(part)
            inner = next(_models(field.annotation), None) if field else None
            if inner is None:
                return ()
            model = inner
    return model.model_fields


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


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
