"""The spec: short forms, limits, and a name that is the same everywhere."""

import ast
import inspect
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pipeline import Component, PipelineSpec, parse_spec
from market_data_pipeline.pipeline.defaults import Defaults
from market_data_pipeline.settings import PipelineRuntimeSettings

SHORT = {"source": "synthetic", "symbols": ["A"], "operator": "bars", "sink": "memory"}


def test_a_name_is_a_component_and_one_is_a_list():
    spec = parse_spec(SHORT)
    assert (spec.source, spec.operator, spec.sink) == (
        Component(name="synthetic"),
        (Component(name="bars"),),
        (Component(name="memory"),),
    )
    long = {"name": "bars", "settings": {"interval": "1s"}}
    assert parse_spec(SHORT | {"operator": long}).operator == parse_spec(SHORT | {"operator": [long]}).operator
    assert parse_spec(SHORT | {"operator": None}).operator == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version: Input should be 1, not 2"),
        ({"sink": []}, "sink: Tuple should have at least 1 item"),
        ({"source": {"name": ""}}, "source.name: String should have at least 1 character"),
        ({"sinks": "x"}, "unknown key 'sinks'; did you mean 'sink'"),
        ({"source": {"name": "x", "setting": {}}}, "unknown key 'source.setting'; did you mean 'settings'?"),
        ({"operator": [{"name": "x", "setting": {}}]}, "unknown key 'operator.0.setting'; did you mean 'settings'?"),
        ({"kinds": ["quotes"]}, "kinds.0: Input should be 'quote', 'trade' or 'bar', not 'quotes'"),
        ({"symbols": [1]}, "symbols.0: Input should be a valid string, not 1: write it in quotes"),
        ({"pipeline_id": "a/b"}, "pipeline_id: String should match pattern"),
        ({"duration_sec": 0}, "duration_sec: Input should be greater than 0, not 0"),
        ({"on_full": "drop"}, "on_full: Input should be"),
    ],
)
def test_a_mistake_names_its_key_and_what_would_be_right(changes, message):
    with pytest.raises(ConfigurationError) as caught:
        parse_spec(SHORT | changes, where="p.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("p.yaml: ")
    assert caught.value.__suppress_context__


def test_the_derived_name_tells_the_work_and_not_the_place():
    name = parse_spec(SHORT).pipeline_id
    assert name.startswith("synthetic-bars-")
    assert parse_spec(SHORT | {"sink": "console", "count": 5}).pipeline_id == name
    for change in (
        {"symbols": ["B"]},
        {"kinds": ["quote"]},
        {"allowed_lateness_sec": 1},
        {"operator": None},
        {"source": {"name": "synthetic", "settings": {"seed": 1}}},
    ):
        assert parse_spec(SHORT | change).pipeline_id != name


def test_the_derived_name_is_the_same_in_every_process():
    code = (
        "from market_data_pipeline.pipeline import parse_spec\n"
        f"print(parse_spec({SHORT | {'kinds': ['trade', 'quote', 'bar']}!r}).pipeline_id)"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert names == {"synthetic-bars-8e53125b\n"}


def test_a_value_that_no_file_can_hold_is_a_mistake():
    with pytest.raises(ConfigurationError, match="object"):
        parse_spec(SHORT | {"source": {"name": "x", "settings": {"key": object()}}})


def test_plain_data_leaves_out_what_was_left_out():
    plain = parse_spec(SHORT | {"pipeline_id": "p", "kinds": ["trade", "quote"]}).as_plain()
    assert plain == {
        "version": 1,
        "pipeline_id": "p",
        "source": {"name": "synthetic"},
        "symbols": ["A"],
        "kinds": ["quote", "trade"],
        "operator": [{"name": "bars"}],
        "sink": [{"name": "memory"}],
    }
    assert list(plain) == [name for name in PipelineSpec.model_fields if name in plain]
    assert parse_spec(plain) == parse_spec(SHORT | {"pipeline_id": "p", "kinds": ["trade", "quote"]})


def test_plain_data_keeps_a_default_that_was_said_since_settings_would_take_its_place():
    """CFG-2."""
    said = parse_spec(SHORT | {"allowed_lateness_sec": 2, "on_full": None, "duration_sec": None})
    plain = said.as_plain()
    assert (plain["allowed_lateness_sec"], plain["on_full"], "duration_sec" in plain) == (2.0, None, False)
    settings = PipelineRuntimeSettings(pipeline={"allowed_lateness_sec": 9, "on_full": "fail"})
    assert Defaults.of(settings).value(parse_spec(plain), "allowed_lateness_sec") == 2
    assert Defaults.of(settings).value(parse_spec(plain), "on_full") is None


def test_the_constructor_that_checkers_see_has_every_field_with_its_default():
    tree = ast.parse(dedent(inspect.getsource(PipelineSpec)))
    seen = next(node.args for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    defaults = {
        argument.arg: ... if default is None else ast.literal_eval(default)
        for argument, default in zip(seen.kwonlyargs, seen.kw_defaults, strict=True)
    }
    fields = PipelineSpec.model_fields
    assert {name for name, default in defaults.items() if default is ...} == {
        name for name, field in fields.items() if field.is_required()
    }
    sources = {"source": "x", "sink": "x"}
    given = {name: default for name, default in defaults.items() if default is not ...}
    assert defaults.keys() == fields.keys()
    assert parse_spec(sources | given) == parse_spec(sources)
