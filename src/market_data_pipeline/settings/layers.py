"""Layers of plain data, one over the other, and where each value in the end comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from market_data_pipeline.settings.secrets import is_reference
from market_data_pipeline.settings.shape import Location

Layer: TypeAlias = Literal["default", "file", "profile", "environment", "call"]


@attrs.frozen
class Origin:
    """Where a value comes from."""

    layer: Layer
    place: str = ""
    """File, line and column, or the variable's name."""
    profile: str = ""

    def __str__(self) -> str:
        if self.layer == "profile":
            return f"profile {self.profile} ({self.place})"
        return self.place or self.layer


@attrs.frozen
class Layers:
    """Layers that were put one over the other: mappings are merged, everything else is replaced."""

    values: dict[str, Any] = attrs.field(factory=dict)
    origins: dict[Location, Origin] = attrs.field(factory=dict)
    """Of every value that is no mapping; a secret's reference is one value."""

    def put(self, values: Mapping[str, Any], origin: Callable[[Location], Origin]) -> None:
        """Put a layer over those that are there."""
        self._put(self.values, values, origin, ())

    def origin(self, location: Location) -> Origin | None:
        """Return where the value at a location comes from: the one around it, or else the first one inside of it."""
        around = (origin for other, origin in self.origins.items() if other == location[: len(other)])
        inside = (origin for other, origin in self.origins.items() if other[: len(location)] == location)
        return next(around, None) or next(inside, None)

    def _put(
        self, under: dict[str, Any], over: Mapping[str, Any], origin: Callable[[Location], Origin], at: Location
    ) -> None:
        for key, value in over.items():
            here = (*at, key)
            if is_mapping(value):
                if not is_mapping(under.get(key)):
                    self._forget(here)
                    under[key] = {}
                self._put(under[key], value, origin, here)
            else:
                self._forget(here)
                under[key] = value
                self.origins[here] = origin(here)

    def _forget(self, location: Location) -> None:
        for other in [other for other in self.origins if other[: len(location)] == location]:
            del self.origins[other]


def is_mapping(value: object) -> bool:
    """Return whether a value is merged, key by key, with what lies under it."""
    return isinstance(value, Mapping) and not is_reference(value)


def flattened(values: Mapping[str, Any], at: Location = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield all values that are no mappings, or empty ones, with their locations; a secret's reference is one value."""
    for key, value in values.items():
        here = (*map(str, at), key)
        if is_mapping(value) and value:
            yield from flattened(value, here)
        else:
            yield here, value


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a layer over another."""
    layers = Layers()
    for values in (under, over):
        layers.put(values, lambda _: Origin("call"))
    return layers.values
