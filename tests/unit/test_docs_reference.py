"""The reference pages against what they describe: a table that is not exactly the model's own fails, and is shown."""

import re
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
import pytest
from pydantic import BaseModel, BeforeValidator

from market_data_pipeline.model import BATCHES, parse_time
from market_data_pipeline.model.arrow import SCHEMAS, schema
from market_data_pipeline.pipeline import (
    Component,
    Ledger,
    PipelineContext,
    PipelineOverrides,
    PipelineSpec,
    SinkCounts,
    StageCounts,
)
from market_data_pipeline.plugins import PluginHost, PluginPolicy
from market_data_pipeline.settings import BatchSettings, PipelineSettings, PluginSettings
from market_data_pipeline.settings.coordination import (
    AccountSettings,
    BreakerSettings,
    CoordinationSettings,
    OperationSettings,
    RuleSettings,
)
from market_data_pipeline.settings.tree import SettingsFile

DOCS = Path(__file__).parents[2] / "docs"
WORDS = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Path: "path",
    Component: "component",
    PipelineOverrides: "overrides",
}
COMPONENTS = [
    (kind, spec)
    for kind in ("operator", "batcher", "sink")
    for spec in PluginHost(policy=PluginPolicy(no_plugins=True)).components(kind)
]


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def type_words(annotation: Any) -> str:
    """A type in words, such as "integer" or "`decimal` or `float64`"."""
    if annotation in WORDS:
        return WORDS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        times = any(isinstance(part, BeforeValidator) and part.func is parse_time for part in arguments[1:])
        return "time" if times else type_words(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in {Union, types.UnionType}:
        return " or ".join(type_words(part) for part in arguments if part is not type(None))
    if isinstance(origin, type) and issubclass(origin, Iterable) and not issubclass(origin, dict):
        return f"list of {type_words(arguments[0])}"
    return "mapping" if origin is dict or issubclass(annotation, BaseModel) else annotation.__name__.lower()


def default_words(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Component):
        value = value.name
    if isinstance(value, BaseModel):
        return "see below"
    if value is None or (hasattr(value, "__len__") and not len(value)):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def table(model: type[BaseModel]) -> str:
    """The settings of a model as they have to stand in the page."""
    lines = ["| key | type | default | what it is |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        what = field.description.replace("*", r"\*")
        lines.append(f"| `{name}` | {type_words(annotation)} | {default_words(field)} | {what} |")
    return "\n".join(lines) + "\n"


def section(text, heading):
    assert heading in text, f"the page has no heading {heading!r}"
    return re.split(r"^## ", text.partition(heading)[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_spec_page_has_every_field():
    assert table(PipelineSpec) in page("reference/spec.md"), f"\n{table(PipelineSpec)}"


def test_the_migration_page_has_every_override():
    assert table(PipelineOverrides) in page("how-to/migrate.md"), f"\n{table(PipelineOverrides)}"


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("The tree", SettingsFile),
        ("pipeline", PipelineSettings),
        ("pipeline.batch", BatchSettings),
        ("plugins", PluginSettings),
        ("coordination", CoordinationSettings),
        ("coordination.providers.NAME", AccountSettings),
        ("coordination.providers.NAME.rules.RULE", RuleSettings),
        ("coordination.providers.NAME.operations.OPERATION", OperationSettings),
        ("coordination.breaker", BreakerSettings),
    ],
)
def test_the_settings_page_has_every_setting(heading, model):
    assert table(model) in section(page("reference/settings.md"), f"\n## {heading}\n"), f"\n{table(model)}"


def test_a_component_is_as_the_spec_page_says():
    assert list(Component.model_fields) == ["name", "settings"]


@pytest.mark.parametrize(("kind", "spec"), COMPONENTS, ids=[f"{kind}-{spec.name}" for kind, spec in COMPONENTS])
def test_the_components_page_has_every_setting(kind, spec):
    text = section(page("reference/components.md"), f"\n## {kind} `{spec.name}`\n")
    expected = table(spec.resolve_settings())
    assert expected in text, f"\n{expected}"


@pytest.mark.parametrize("name", ["synthetic", "replay"])
def test_the_providers_page_has_every_setting(name):
    spec = PluginHost().provider(name)
    expected = table(spec.resolve_settings())
    assert expected in section(page("reference/providers.md"), f"\n## `{name}`\n"), f"\n{expected}"


@pytest.mark.parametrize("kind", BATCHES)
def test_the_files_page_has_every_column_in_order(kind):
    text = page("reference/files.md")
    tables = section(text, "\n## Columns\n").split("\n### ")
    every, own = (
        next(part for part in tables if part.startswith("Of every")),
        next(part for part in tables if part.startswith(f"Of {kind}s")),
    )
    found = re.findall(r"^\| `(\w+)` \|", every + own, re.MULTILINE)
    assert found == schema(kind).names
    assert f"`{SCHEMAS[kind]}`" in text


@pytest.mark.parametrize("counts", [Ledger, StageCounts, SinkCounts])
def test_the_ledger_page_has_every_count(counts):
    text = page("reference/ledger.md")
    for field in attrs.fields(counts):
        assert f"`{field.name}`" in text, field.name


@pytest.mark.parametrize("field", attrs.fields(PipelineContext), ids=lambda field: field.name)
def test_the_spec_page_has_the_context_of_programs(field):
    assert re.search(rf"^\| `{field.name}` \|", section(page("reference/spec.md"), "\n## In a program\n"), re.MULTILINE)
