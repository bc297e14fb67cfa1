"""The shape of a settings model: which types can stand at a location in what a person writes."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

Location: TypeAlias = tuple[int | str, ...]
"""Where something is in plain data: keys of mappings and indexes of lists, from the outside in."""


def alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation allows: the members of a union, without what `Annotated` adds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from alternatives(member)
    else:
        yield annotation


def types_at(annotation: Any, location: Location) -> list[Any]:
    """Return the types that can stand at a location inside of an annotation; none where there can be nothing."""
    found = list(alternatives(annotation))
    for part in location:
        found = [one for outer in found for inner in _inside(outer, part) for one in alternatives(inner)]
    return found


def models(annotations: Collection[Any]) -> list[type[BaseModel]]:
    """Return those of some types that are pydantic models."""
    return [one for one in annotations if hasattr(one, "model_fields")]


def field_of(model: type[BaseModel], key: int | str) -> FieldInfo | None:
    """Return the field that a key in the data stands for."""
    by_alias = (field for field in model.model_fields.values() if key in _aliases(field))
    return model.model_fields.get(str(key)) or next(by_alias, None)


def names(model: type[BaseModel]) -> list[str]:
    """Return what keys in the data are called."""
    return [alias for name, field in model.model_fields.items() for alias in _aliases(field) or (name,)]


def _aliases(field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    return [one for one in getattr(alias, "choices", (alias,)) if isinstance(one, str)]


def leaves(value: Any, at: Location = ()) -> Iterator[tuple[Location, Any]]:
    """Yield all values inside of plain data that are neither mappings nor lists, with their locations."""
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if is_list(value) else ()
    if not parts:
        yield at, value
    for key, part in parts:
        yield from leaves(part, (*at, key))


def is_list(value: Any) -> bool:
    """Return whether a value is what YAML and Python write as a list."""
    return type(value) in {list, tuple}


def is_in(location: Location, values: Any) -> bool:
    """Return whether there is something at a location of plain data."""
    for part in location:
        try:
            values = values[part]
        except (LookupError, TypeError):
            return False
    return bool(location)


def _inside(outer: Any, part: int | str) -> Iterator[Any]:
    if fields := models([outer]):
        if (field := field_of(fields[0], part)) is not None:
            yield field.annotation
        return
    origin, arguments = get_origin(outer), get_args(outer)
    if not (isinstance(origin, type) and arguments):
        return
    if issubclass(origin, Mapping):
        yield arguments[1]
    elif issubclass(origin, Collection):
        is_fixed = origin is tuple and arguments[-1] is not Ellipsis
        first = part if is_fixed and isinstance(part, int) else 0
        yield from arguments[first : first + 1]
