"""The registry of the earlier system: names to classes."""

import sys

import pytest

from market_data_pipeline.errors import PluginNotFound
from market_data_pipeline.orchestration import SourceRegistry
from market_data_pipeline.plugins import PluginHost, PluginPolicy


class Mine:
    pass


@pytest.fixture
def registry():
    return SourceRegistry()


def test_a_new_one_is_empty_and_finds_what_is_registered(registry):
    assert registry.list_sources() == []
    registry.register("mine", Mine)
    assert (registry.list_sources(), registry.load("mine")) == (["mine"], Mine)


def test_a_dotted_path_is_imported(registry):
    assert registry.load("market_data_synthetic.source:SyntheticSource").__name__ == "SyntheticSource"


def test_an_installed_provider_is_found_by_its_name(registry):
    assert registry.load("synthetic").__name__ == "SyntheticProvider"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "no provider is named 'nowhere'.*registered here: known: mine"),
        ("nowhere:Class", "'nowhere:Class' cannot be imported: ModuleNotFoundError"),
        ("market_data_synthetic.source:Nothing", "cannot be imported: AttributeError"),
    ],
)
def test_what_is_not_there_is_an_import_error(registry, name, says):
    registry.register("mine", Mine)
    with pytest.raises(ImportError, match=says) as caught:
        registry.load(name)
    assert isinstance(caught.value, PluginNotFound)


def test_installed_plugins_are_registered_and_what_was_registered_before_stays(registry):
    registry.register("replay", Mine)
    assert registry.discover_entrypoints() == ["replay", "synthetic"]
    assert registry.list_sources() == ["replay", "synthetic"]
    assert registry.load("replay") is Mine


def test_a_broken_plugin_leaves_the_others_alone(tmp_path, monkeypatch):
    info = tmp_path / "market_data_bad-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: market-data-bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[market_data.providers]\nbad = market_data_bad:plugin\n")
    registry = SourceRegistry(PluginHost(policy=PluginPolicy(), path=[str(tmp_path), *sys.path]))
    assert registry.discover_entrypoints() == ["replay", "synthetic"]


def test_another_group_has_no_plugins(registry):
    with pytest.raises(PluginNotFound, match=r"plugins are in the group 'market_data\.providers', not in 'other'"):
        registry.discover_entrypoints("other")
