"""Pipeline specs in files: YAML to a spec, with the line of every mistake, and back."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from market_data_pipeline.errors import ConfigurationError, PluginError
from market_data_pipeline.pipeline.builder import PipelineBuilder
from market_data_pipeline.pipeline.spec import Component, PipelineSpec
from market_data_pipeline.plugins import Spec
from market_data_pipeline.settings.document import Document, read_document
from market_data_pipeline.settings.mistakes import explain
from market_data_pipeline.settings.secrets import redacted
from market_data_pipeline.settings.shape import Location


def read_spec(path: str | Path, builder: PipelineBuilder) -> PipelineSpec:
    """Return the spec in a YAML file; every name and setting in it is known to be right.

    Raises:
        ConfigurationError: The file is not there, is no YAML or describes no pipeline; says which line, and what would
            be right.
        PluginError: A plugin that it names is not installed or does not load.
    """
    from pydantic import ValidationError

    document = read_document(path, form="a pipeline is written as lines of `key: value`, at least source and sink")
    if document.refused:
        raise ConfigurationError("; ".join(document.refused))
    try:
        spec = PipelineSpec.model_validate(document.root.value)
    except ValidationError as error:
        raise ConfigurationError(explain(error, PipelineSpec, document.root.value, place=document.find)) from None
    for kind, location, component in _components(spec):
        _check(kind, location, component, document, builder)
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


def without_secrets(spec: PipelineSpec, builder: PipelineBuilder) -> PipelineSpec:
    """Return a spec to show: a secret that is written out in it is masked, and a reference to one stays."""

    def shown(kind: Any, component: Component) -> Component:
        model = _find(kind, component, builder).resolve_settings()
        return component.model_copy(update={"settings": redacted(model, component.settings) if model else {}})

    stages = {
        "source": shown("source", spec.source),
        "operator": tuple(shown("operator", one) for one in spec.operator),
        "batcher": shown("batcher", spec.batcher),
        "sink": tuple(shown("sink", one) for one in spec.sink),
    }
    return spec.model_copy(update={name: stage for name, stage in stages.items() if name in spec.model_fields_set})


def _components(spec: PipelineSpec) -> Iterator[tuple[Any, Location, Component]]:
    yield "source", ("source",), spec.source
    for index, operator in enumerate(spec.operator):
        yield "operator", ("operator", index), operator
    yield "batcher", ("batcher",), spec.batcher
    for index, sink in enumerate(spec.sink):
        yield "sink", ("sink", index), sink


def _find(kind: Any, component: Component, builder: PipelineBuilder) -> Spec:
    if kind == "source":
        return builder.find_source(component.name)
    return builder.host.component(kind, component.name)


def _check(kind: Any, location: Location, component: Component, document: Document, builder: PipelineBuilder) -> None:
    try:
        found = _find(kind, component, builder)
    except PluginError as error:
        where = document.find((*location, "name"))
        raise type(error)(f"{where}: {error}", plugin=error.plugin) from error.__cause__

    def own(inner: Location) -> str:
        return document.find((*location, "settings", *inner))

    builder.defaults.check(kind, found, component, own)
