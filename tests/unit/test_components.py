"""From settings to objects: a mistake names its key and what would be right."""

import enum

import attrs
import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from market_data_pipeline.errors import ConfigurationError, PluginContractError
from market_data_pipeline.pipeline.components import make
from market_data_pipeline.plugins import ComponentSpec
from market_data_pipeline.settings import validated
from market_data_pipeline.sink import MemorySink


class Colour(enum.Enum):
    RED = "red"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    depth: int = 1


class Plain(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid")

    one: int


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str
    rows: int | None = Field(default=5, gt=0)
    colour: Colour = Colour.RED
    inner: Inner = Inner()
    list_of: list[Inner] = []
    either: int | Inner = 1
    plain: Plain | None = None


class Thing(MemorySink):
    def __init__(self, **given):
        super().__init__()
        self.given = given


def spec(settings=Settings, factory=dict):
    return ComponentSpec(name="thing", kind="sink", factory=factory, settings=settings)


def complaint(values, settings=Settings, **options):
    with pytest.raises(ConfigurationError) as caught:
        validated(spec(settings), values, where="sink thing", **options)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "sink thing: 'path' is missing"),
        ({"path": "x", "rosw": 1}, "sink thing: unknown key 'rosw'; did you mean 'rows'?"),
        ({"path": "x", "zzzzzz": 1}, "unknown key 'zzzzzz'; known: colour, either, inner, list_of, path, plain, rows"),
        ({"path": "x", "rows": 0}, "rows: Input should be greater than 0, not 0"),
        ({"path": 5}, "path: Input should be a valid string, not 5: write it in quotes"),
        ({"path": "x", "colour": "blue"}, "colour: Input should be 'red', not 'blue'"),
        ({"path": "x", "inner": {"dept": 1}}, "unknown key 'inner.dept'; did you mean 'depth'?"),
        ({"path": "x", "list_of": [{}, {"dept": 1}]}, "unknown key 'list_of.1.dept'; did you mean 'depth'?"),
        ({"path": "x", "plain": {"one": 1, "two": 2}}, "sink thing: unknown key 'plain.two'"),
        ({"path": "x", "either": "y"}, "either: Input should be a valid integer"),
        ({"path": "x", "rows": "y" * 500}, "not '" + "y" * 99),
    ],
)
def test_a_mistake_names_its_key_and_what_would_be_right(values, message):
    """CFG-2."""
    assert message in complaint(values)


def test_all_mistakes_are_named_at_once():
    said = complaint({"rows": 0, "colour": "blue"})
    assert said.count(";") == 2
    assert all(key in said for key in ("'path'", "rows", "colour"))


def test_where_it_was_written_stands_before_each_mistake():
    said = complaint({"path": "x", "rows": 0}, place=lambda location: f"f.yaml:{len(location)}")
    assert said == "f.yaml:1: rows: Input should be greater than 0, not 0"


def test_what_takes_no_settings_says_so():
    assert complaint({"b": 1, "a": 2}, settings=None) == "sink thing: thing takes no settings, got a, b"
    assert complaint({"a": 2}, settings=None, place=lambda _: "f.yaml:3").startswith("f.yaml:3: ")
    assert validated(spec(None), {}, where="") is None


def test_a_component_gets_every_field_of_its_settings_as_they_are():
    made = make(spec(factory=Thing), Settings(path="x", rows=None, inner={"depth": 3})).given
    assert (made["path"], made["rows"], made["inner"], made["colour"]) == ("x", None, Inner(depth=3), Colour.RED)
    assert make(spec(None, Thing), None).given == {}


def refuse(**_):
    raise ConfigurationError("choose another path")


def fail(**_):
    raise KeyError("driver")


def lack(**_):
    import no_such_module  # noqa: F401


@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        (refuse, ConfigurationError, "choose another path"),
        (fail, PluginContractError, "the factory of the sink 'thing' of plugin 'acme' raised KeyError: 'driver'; tell"),
        (lack, PluginContractError, "install what has the module no_such_module into this environment"),
        (dict, PluginContractError, "returns a dict, which is no Sink as market_data_pipeline.contracts says"),
    ],
)
def test_a_factory_that_breaks_the_contract_is_named_with_its_plugin(factory, error, message):
    """RT-3."""
    with pytest.raises(error) as caught:
        make(attrs.evolve(spec(None, factory), plugin="acme"), None)
    assert message in str(caught.value)


@pytest.mark.parametrize("extra", ["ignore", None])
def test_a_key_that_the_model_would_ignore_is_refused(extra):
    class Careless(BaseModel):
        model_config = ConfigDict() if extra is None else ConfigDict(extra=extra)
        path: str = Field(default="", validation_alias="folder")

    assert complaint({"fodler": "x"}, Careless) == "sink thing: unknown key 'fodler'; did you mean 'folder'?"
    assert validated(spec(Careless), {"folder": "x"}, where="").path == "x"


def test_a_model_that_allows_other_keys_gets_them():
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    assert validated(spec(Open), {"any": 1}, where="").any == 1
