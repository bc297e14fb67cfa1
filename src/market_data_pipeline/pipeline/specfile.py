"""Pipeline specs in files: YAML to a spec, with the line of every mistake, and back."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any, Final

import attrs

from market_data_pipeline.errors import ConfigurationError, PluginError
from market_data_pipeline.pipeline.builder import PipelineBuilder
from market_data_pipeline.pipeline.components import Location, explain, validated
from market_data_pipeline.pipeline.spec import Component, PipelineSpec
from market_data_pipeline.pipeline.yaml_document import Node, parse_yaml

MAX_BYTES: Final = 2**20


def read_spec(path: str | Path, builder: PipelineBuilder) -> PipelineSpec:
    """Return the spec in a YAML file; every name and setting in it is known to be right.

    Raises:
        ConfigurationError: The file is not there, is no YAML or describes no pipeline; says which line, and what would
            be right.
        PluginError: A plugin that it names is not installed or does not load.
    """
    from pydantic import ValidationError

    name = str(path)
    places = _Places(name, parse_yaml(_read(Path(path)), name=name))
    if not isinstance(places.root.value, dict):
        raise ConfigurationError("a pipeline is written as lines of `key: value`, at least source and sink", where=name)
    try:
        spec = PipelineSpec.model_validate(places.root.value)
    except ValidationError as error:
        raise ConfigurationError(explain(error, PipelineSpec, places.root.value, place=places.find)) from None
    for kind, location, component in _components(spec):
        _check(kind, location, component, places, builder)
    return spec


def dump_spec(spec: PipelineSpec) -> str:
    """Return a spec as YAML, of which `read_spec` makes the very same spec."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 2**20  # a folded line is harder to read than a long one
    yaml.allow_unicode = False  # YAML takes some characters for line breaks, and would change them
    text = StringIO()
    yaml.dump(spec.as_plain(), text)
    return text.getvalue()


@attrs.frozen
class _Places:
    """Where things stand in a file."""

    name: str
    root: Node

    def find(self, location: Location) -> str:
        """Return file, line and column of what is at a location in the spec, or of what it would have to be in.

        A list may be left out where it has one item, and a mapping where it has nothing but a name.
        """
        node = self.root
        for key in location:
            node = node.parts.get(key, node)
        return f"{self.name}:{node.line}:{node.column}"


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        close = get_close_matches(path.name, (other.name for other in path.parent.glob("*.y*ml")))
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ConfigurationError(f"cannot be read: {error.strerror}{hint}", where=str(path)) from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError("is larger than 1 MiB: this is no pipeline", where=str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError("this is not UTF-8: save the file as UTF-8", where=f"{path}:{line}") from None


def _components(spec: PipelineSpec) -> Iterator[tuple[Any, Location, Component]]:
    yield "source", ("source",), spec.source
    for index, operator in enumerate(spec.operator):
        yield "operator", ("operator", index), operator
    yield "batcher", ("batcher",), spec.batcher
    for index, sink in enumerate(spec.sink):
        yield "sink", ("sink", index), sink


def _check(kind: Any, location: Location, component: Component, places: _Places, builder: PipelineBuilder) -> None:
    name = component.name
    try:
        found = builder.find_source(name) if kind == "source" else builder.host.component(kind, name)
    except PluginError as error:
        where = places.find((*location, "name"))
        raise type(error)(f"{where}: {error}", plugin=error.plugin) from error.__cause__

    def place(inner: Location) -> str:
        return places.find((*location, "settings", *inner))

    validated(found, component.settings, where=f"{kind} {name}", place=place)
