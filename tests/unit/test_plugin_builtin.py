"""The built-in components come through the very hooks of a third party."""

import pytest

from market_data_pipeline.plugins import PluginHost, PluginPolicy

BUILTIN = [spec for kind in ("operator", "batcher", "sink") for spec in PluginHost(path=[]).components(kind)]


def test_the_built_in_components():
    assert [(spec.kind, spec.name) for spec in BUILTIN] == [
        ("operator", "bars"),
        ("batcher", "hybrid"),
        ("sink", "console"),
        ("sink", "jsonl"),
        ("sink", "memory"),
        ("sink", "parquet"),
        ("sink", "store"),
    ]
    assert {spec.plugin for spec in BUILTIN} == {"builtin"}
    assert all(spec.summary for spec in BUILTIN)


def test_they_are_there_when_all_plugins_are_off():
    host = PluginHost(policy=PluginPolicy(no_plugins=True))
    assert [host.component(spec.kind, spec.name) for spec in BUILTIN] == BUILTIN


@pytest.mark.parametrize("spec", BUILTIN, ids=lambda spec: spec.name)
def test_their_code_and_settings_exist(spec):
    assert callable(spec.resolve_factory())
    assert all(field.description for field in spec.resolve_settings().model_fields.values())
