"""Settings out of environment variables: `MDP__SECTION__KEY=value`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.settings.secrets import is_secret
from market_data_pipeline.settings.shape import Location, types_at
from market_data_pipeline.settings.yaml_document import parse_yaml

PREFIX: Final = "MDP__"
FILE_VARIABLE: Final = "MDP_SETTINGS"


class Variable(str):
    """The text of a variable, until a model tells what it stands for."""

    __slots__ = ()


def has_settings(environ: Mapping[str, str]) -> bool:
    """Return whether an environment has settings, or names a file of them."""
    return any(value and (name == FILE_VARIABLE or name.startswith(PREFIX)) for name, value in environ.items())


def variables(environ: Mapping[str, str]) -> Iterator[tuple[str, Location, Variable]]:
    """Yield the variables that are settings, in order: their names, their locations and their texts.

    An empty variable counts as one that is not set.
    """
    for name in sorted(environ):
        if name.startswith(PREFIX) and environ[name]:
            yield name, tuple(name.removeprefix(PREFIX).lower().split("__")), Variable(environ[name])


def variable(location: Location) -> str:
    """Return the name of the variable for a location."""
    return PREFIX + "__".join(str(part).upper().replace("-", "_") for part in location)


def parsed(model: Any, value: Any, at: Location = ()) -> Any:
    """Return values in which the text of a variable is what YAML makes of it, where the model takes no text there."""
    if isinstance(value, Mapping):
        return {key: parsed(model, part, (*at, key)) for key, part in value.items()}
    if not isinstance(value, Variable) or any(map(_is_text, types_at(model, at) or [str])):
        return str(value) if isinstance(value, Variable) else value
    try:
        return parse_yaml(value, name="").value
    except ConfigurationError:
        return str(value)  # of which the model says what it should be


def _is_text(annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return any(isinstance(value, str) for value in get_args(annotation))
    return annotation in {Any, str, bytes, Path} or is_secret(annotation)
