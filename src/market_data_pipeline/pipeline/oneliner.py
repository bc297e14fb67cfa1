"""One-liners: `SOURCE[:SYMBOLS][?key=value&…] -> OPERATOR[:ARGUMENT][?…] -> SINK[:TARGET][?…]` to a pipeline spec.

The first `:` ends a name, the first `?` begins the options, and nothing else is special before it; options are
percent-decoded, and `+` stays `+`. Which names there are and which options they have is the plugins' to say.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import attrs

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pipeline.builder import PipelineBuilder
from market_data_pipeline.pipeline.spec import Component
from market_data_pipeline.plugins import Spec
from market_data_pipeline.settings.secrets import is_hidden
from market_data_pipeline.settings.shape import types_at
from market_data_pipeline.settings.variables import variable

FORM = "SOURCE[:SYMBOLS][?key=value&...] -> OPERATOR[:ARGUMENT] -> SINK[:TARGET]"


def parse_oneliner(text: str, builder: PipelineBuilder) -> dict[str, Any]:
    """Return the values of the spec that a one-liner stands for, typed as the settings of its stages are.

    Raises:
        ConfigurationError: It is not of the form, or an option is unknown or wrong; says what would be right.
        PluginError: A plugin that it names is not installed or does not load.
    """
    first, *middle = (_Stage.parse(part.strip()) for part in text.split("->"))
    if not middle:
        raise ConfigurationError(f"a pipeline has a source and a sink: write {FORM}", where=repr(text))
    last = middle.pop()
    return {
        **_source(first, builder),
        "operator": [_component("operator", stage, builder) for stage in middle],
        "sink": [_component("sink", last, builder)],
    }


@attrs.frozen
class _Stage:
    """One part of a one-liner, taken apart."""

    name: str
    argument: str | None
    options: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> _Stage:
        head, _, query = text.partition("?")
        name, colon, argument = head.partition(":")
        if not name:
            raise ConfigurationError(f"a stage has no name: write {FORM}", where=repr(text))
        if colon and not argument:
            raise ConfigurationError("nothing stands behind the colon", where=repr(text))
        options: dict[str, str] = {}
        for option in query.split("&") if query else ():
            key, equals, value = option.partition("=")
            if not (key and equals):
                raise ConfigurationError(f"{option!r} is no option: write key=value", where=repr(text))
            if key in options:
                raise ConfigurationError(f"the option {key!r} is given twice", where=repr(text))
            options[key] = _decode(value, text)
        return cls(name, argument or None, options)


def _decode(value: str, text: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{value!r} does not decode to UTF-8", where=repr(text)) from None


def _source(stage: _Stage, builder: PipelineBuilder) -> dict[str, Any]:
    options = dict(stage.options)
    values: dict[str, Any] = {}
    if kinds := options.pop("kinds", None):
        values["kinds"] = kinds.split(",")
    if stage.argument:
        values["symbols"] = [symbol.strip() for symbol in stage.argument.split(",")]
    found = builder.find_source(stage.name)
    return {"source": {"name": stage.name, "settings": _typed("source", found, options, builder)}, **values}


def _component(kind: Any, stage: _Stage, builder: PipelineBuilder) -> dict[str, Any]:
    found = builder.host.component(kind, stage.name)
    options = dict(stage.options)
    where = f"{kind} {stage.name}"
    if stage.argument:
        key = first_setting(found)
        if key is None:
            raise ConfigurationError(f"takes no argument, got {stage.argument!r}", where=where)
        if key in options:
            raise ConfigurationError(f"{key!r} is given twice: behind the colon and as an option", where=where)
        options = {key: stage.argument, **options}
    return {"name": stage.name, "settings": _typed(kind, found, options, builder)}


def first_setting(spec: Spec) -> str | None:
    """Return the name of the setting that stands behind the colon; None if a component has no settings.

    Raises:
        PluginError: Its settings do not load.
    """
    model = spec.resolve_settings()
    return None if model is None else next(iter(model.model_fields), None)


def _typed(kind: Any, spec: Spec, options: dict[str, str], builder: PipelineBuilder) -> dict[str, Any]:
    """Return options as JSON and YAML hold them: a number as a number, a time as int ns."""
    model = spec.resolve_settings()
    for key in options:
        if types_at(model, (key,)) and is_hidden(model, (key,)):
            instead = ""
            if kind == "source" and re.fullmatch(r"[a-z0-9_]+", key):  # as a variable can write it
                instead = f"set the environment variable {variable(('providers', spec.name, key))}, or "
            raise ConfigurationError(
                f"{key!r} is a secret, and command lines are kept and seen: {instead}write {{env: NAME}} or "
                "{file: PATH} for it in a spec file, and run that",
                where=f"{kind} {spec.name}",
            )
    settings = builder.defaults.check(kind, spec, Component(name=spec.name, settings=options))
    typed = {} if settings is None else settings.model_dump(mode="json", by_alias=True)
    return {key: text if typed.get(key) is None else typed[key] for key, text in options.items()}
