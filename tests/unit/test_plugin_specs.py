"""Specs are data, checked when they are made; their code is imported when it is used."""

import collections

import pydantic
import pytest

from market_data_pipeline.errors import PluginContractError, PluginLoadError
from market_data_pipeline.plugins import ComponentSpec, ProviderSpec


def sink(**arguments):
    return ComponentSpec(
        **{"kind": "sink", "name": "acme", "factory": "collections:deque", "plugin": "acme"} | arguments
    )


@pytest.mark.parametrize("name", ["a", "A1", "1a", "a b", "a:b", "a" * 33, "", None, "acme\n"])
def test_a_name_must_fit_a_one_liner(name):
    with pytest.raises(PluginContractError, match="must match"):
        sink(name=name)


@pytest.mark.parametrize("name", ["ab", "a-1_b", "a" * 32])
def test_the_longest_and_shortest_names_fit(name):
    assert sink(name=name).name == name


@pytest.mark.parametrize("field", ["factory", "settings"])
@pytest.mark.parametrize("value", ["collections", "collections.deque", "a:", ":b", "a b:c", "a..b:c", 3])
def test_a_path_names_a_module_and_an_object_in_it(field, value):
    with pytest.raises(PluginContractError, match=f"the {field} of 'acme' must be 'package.module:name' or a callable"):
        sink(**{field: value})


def test_kind_and_capabilities_are_checked():
    with pytest.raises(ValueError, match="kind"):
        sink(kind="sinc")
    with pytest.raises(TypeError, match="capabilities"):
        ProviderSpec(name="acme", factory="a:b", capabilities={"kinds": {"quote"}})


def test_a_factory_is_imported_when_it_is_asked_for():
    assert sink().resolve_factory() is collections.deque
    assert sink(factory=dict.fromkeys).resolve_factory() == dict.fromkeys
    assert sink(factory="collections:OrderedDict.fromkeys").resolve_factory() == collections.OrderedDict.fromkeys


@pytest.mark.parametrize(
    ("path", "cause"),
    [("no_such_module:x", "ModuleNotFoundError"), ("collections:dequeue", "AttributeError")],
)
def test_a_factory_that_does_not_import_names_plugin_cause_and_next_command(path, cause):
    with pytest.raises(PluginLoadError) as raised:
        sink(factory=path).resolve_factory()
    assert str(raised.value).startswith(
        f"sink 'acme' of plugin 'acme' cannot be used (`mdp plugins info acme`): importing its factory {path!r} raised "
    )
    assert cause in str(raised.value)
    assert raised.value.plugin == "acme"


def test_a_factory_must_be_callable():
    with pytest.raises(PluginContractError, match="names the factory 'math:pi', which cannot be called"):
        sink(factory="math:pi").resolve_factory()


def test_settings_are_a_pydantic_model_or_nothing():
    class Settings(pydantic.BaseModel):
        path: str

    assert sink().resolve_settings() is None
    assert sink(settings=Settings).resolve_settings() is Settings
    assert sink(settings="pydantic:BaseModel").resolve_settings() is pydantic.BaseModel
    with pytest.raises(PluginContractError, match="names the settings 'collections:deque': no pydantic model"):
        sink(settings="collections:deque").resolve_settings()
