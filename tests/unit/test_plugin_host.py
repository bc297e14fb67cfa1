"""The host on distributions that lie on disk with real metadata, on a real `sys.path`."""

import asyncio
import importlib
import itertools
import shutil
import sys
from pathlib import Path

import pytest

from market_data_pipeline import errors
from market_data_pipeline.plugins import GROUP, PluginHost, PluginPolicy

HEALTHY = ("command", "commands", "editable", "good", "slow", "stale")
DISTS = Path(__file__).parents[1] / "data" / "dists"

BROKEN = {
    "async-hook": ("contract", errors.PluginContractError, "its hook mdp_providers is async"),
    "class": ("contract", errors.PluginContractError, "it names the class Plugin, not an instance"),
    "clash": ("conflict", errors.PluginConflict, "market-data-fake-clash-one 1.0.0"),
    "exit": ("import", errors.PluginLoadError, "its import raised SystemExit: 3"),
    "half-way": ("contract", errors.PluginContractError, "its hook mdp_providers raised OSError: the list of venues"),
    "import-error": ("import", errors.PluginLoadError, "No module named 'no_such_vendor_sdk'"),
    "market-data-fake-damaged-entry-points": ("metadata", errors.PluginLoadError, "is damaged"),
    "missing-metadata": ("metadata", errors.PluginLoadError, "is damaged"),
    "misspelt-hook": ("contract", errors.PluginContractError, "did you mean 'mdp_providers'"),
    "syntax-error": ("import", errors.PluginLoadError, "market_data_fake_syntax_error.py:3; install a version of it"),
    "wrapper": ("contract", errors.PluginContractError, "its hook mdp_providers is a wrapper"),
    "wrong-api": ("incompatible", errors.PluginIncompatible, "it needs contract 1.99, this core has 1.0"),
}


def test_discovery_reads_metadata_and_imports_nothing(host_of, monkeypatch):
    monkeypatch.delitem(sys.modules, "market_data_fake_good", raising=False)
    host = host_of("good")
    (record,) = host.records()
    assert "market_data_fake_good" not in sys.modules
    assert (record.name, record.state, record.reason) == ("good", "found", None)
    assert (record.value, record.distribution, record.version) == (
        "market_data_fake_good:plugin",
        "market-data-fake-good",
        "1.0.0",
    )
    assert record.path == str(DISTS / "good" / "market_data_fake_good-1.0.0.dist-info")


def test_discovery_looks_on_sys_path_where_no_path_is_given(host_of, monkeypatch):
    monkeypatch.syspath_prepend(str(DISTS / "good"))
    assert "good" in {record.name for record in PluginHost().records()}


def test_a_plugin_offers_its_specs_signed_with_its_name(host_of):
    host = host_of("good")
    assert host.provider("good").plugin == "good"
    assert host.source("good-file").factory == "market_data_fake_good:Source"
    assert host.component("sink", "good-db").plugin == "good"
    assert [spec.name for spec in host.providers()] == ["good"]
    assert [spec.name for spec in host.sources()] == ["good-file"]
    assert "good-db" in [spec.name for spec in host.components("sink")]
    assert [spec.name for spec in host.specs("good")] == ["good", "good-file", "good-db"]


def test_only_the_named_plugin_is_loaded(host_of):
    host = host_of("good", "exit", "import-error")
    host.provider("good")
    assert {record.name: record.state for record in host.records()} == {
        "exit": "found",
        "good": "loaded",
        "import-error": "found",
    }


def test_every_broken_distribution_is_listed_with_its_reason_and_harmless(host_of, caplog):
    """RT-3."""
    host = host_of(*(folder.name for folder in DISTS.iterdir()))
    host.load_all()
    assert host.provider("good").name == "good"
    assert {record.name: record.reason for record in host.records()} == {
        name: reason for name, (reason, _, _) in BROKEN.items()
    } | dict.fromkeys(HEALTHY)
    assert len(caplog.messages) == len(BROKEN) + 1  # two claim the name `clash`
    assert caplog.messages == [record.error for record in host.records() if record.is_wrong]


@pytest.mark.parametrize("name", BROKEN)
def test_who_asks_for_a_broken_plugin_is_told_why_and_what_next(host_of, name):
    """RT-3: plugin, distribution, version, entry point, cause, next command."""
    _, error, text = BROKEN[name]
    folder = name.removeprefix("market-data-fake-")
    host = host_of(*(["clash-one", "clash-two"] if name == "clash" else [folder]))
    with pytest.raises(error) as raised:
        host.provider(name)
    message = str(raised.value)
    assert text in message
    assert f"plugin '{name}' (market-data-fake-{folder}" in message
    assert "1.0.0" in message
    assert "mdp plugins doctor" in message
    assert raised.value.plugin == name


def test_the_plugins_own_exception_is_the_cause_and_in_the_record(host_of):
    host = host_of("import-error")
    record = host.load("import-error")
    assert isinstance(record.exception.__cause__, ModuleNotFoundError)
    assert "market_data_fake_import_error.py" in record.traceback
    assert host_of("good").records()[0].traceback == ""


def test_a_failed_plugin_is_not_tried_again_until_refresh(host_of, write, offering):
    home = write("late", "raise ValueError")
    host = host_of(home)
    assert host.load("late").reason == "import"
    home.joinpath("market_data_fake_late.py").write_text(offering("late") + "# mended\n")
    assert host.load("late").reason == "import"
    host.refresh()
    assert host.provider("late").name == "late"


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "asyncio.CancelledError"])
def test_the_guard_lets_an_interrupt_and_a_cancellation_pass(host_of, write, error):
    host = host_of(write("interrupt", f"import asyncio\nraise {error}"))
    with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)):
        host.load_all()


def test_an_error_whose_text_fails_is_reported_all_the_same(host_of, write):
    code = "class E(Exception):\n    def __str__(self): raise ValueError\nraise E"
    assert "its import raised E;" in host_of(write("mute", code)).load("mute").error


def test_a_hook_that_raises_half_way_fails_its_plugin_whole(host_of):
    host = host_of("half-way")
    host.load_all()
    assert host.specs("half-way") == host.providers() == ()


def test_an_object_that_raises_when_looked_at_fails_alone(host_of, write):
    code = "class Plugin:\n    @property\n    def api(self): raise OSError('no')\nplugin = Plugin()"
    assert "its registration raised OSError: no" in host_of(write("shy", code)).load("shy").error


def test_damage_that_does_not_concern_our_group_is_ignored(host_of, write):
    other = write("other", entries="[console_scripts]\nno equals sign\n")
    latin = write("latin", entries="[console_scripts]\nümlaut = a:b\n".encode("latin-1"))
    none = write("none", entries="")
    bare = write("bare")
    next(bare.glob("*.dist-info")).joinpath("entry_points.txt").unlink()
    assert host_of(other, latin, none, bare).records() == ()


@pytest.mark.parametrize(
    "entries",
    [f"[{GROUP}]\nü = a:b\n".encode("latin-1"), f"[{GROUP}]\nbad = !?\n", f"[{GROUP}]\nbad\n"],
    ids=["not UTF-8", "no object", "no equals sign"],
)
def test_damage_of_our_entries_is_one_record(host_of, write, entries):
    host = host_of(write("bad", entries=entries), "good")
    bad, good = sorted(host.records(), key=lambda record: record.state != "failed")
    assert (bad.distribution, bad.reason, bad.version) == ("market-data-fake-bad", "metadata", "1.0.0")
    assert "install it again" in bad.error
    assert good.state == "found"


@pytest.mark.parametrize("version", ["", "Version:\n"])
def test_metadata_without_a_version_is_damage(host_of, write, version):
    home = write("nameless")
    next(home.glob("*.dist-info")).joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: nameless\n{version}")
    assert host_of(home).records()[0].reason == "metadata"


def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(host_of, tmp_path):
    shutil.copytree(DISTS / "good", tmp_path / "copy")
    first, second = host_of("good", tmp_path / "copy"), host_of(tmp_path / "copy", "good")
    assert [str(DISTS) in record.path for record in first.records()] == [True]
    assert [str(DISTS) in record.path for record in second.records()] == [False]
    assert [record.stale for record in first.records()] == [()]


def test_an_editable_install_with_two_kinds_of_metadata_is_one_plugin(host_of):
    host = host_of("editable")
    (record,) = host.records()
    assert (record.version, record.stale) == ("1.0.0", ())
    assert host.provider("editable").plugin == "editable"


def test_of_two_versions_in_one_folder_the_newer_counts_and_the_other_is_stale(host_of):
    (record,) = host_of("stale").records()
    assert record.version == "0.10.0"
    assert record.stale == (f"0.9.0 in {DISTS / 'stale' / 'market_data_fake_stale-0.9.0.dist-info'}",)


def test_an_older_version_that_is_first_on_the_path_counts_and_the_other_is_stale(host_of, tmp_path):
    shutil.copytree(DISTS / "stale", tmp_path / "old", ignore=lambda *_: ["market_data_fake_stale-0.10.0.dist-info"])
    (record,) = host_of(tmp_path / "old", "stale").records()
    assert record.version == "0.9.0"
    assert record.stale == (f"0.10.0 in {DISTS / 'stale' / 'market_data_fake_stale-0.10.0.dist-info'}",)


def test_a_clash_names_both_and_ends_when_one_is_disabled(host_of):
    host = host_of("clash-one", "clash-two")
    for record in host.records():
        assert "market-data-fake-clash-one 1.0.0" in record.error
        assert "market-data-fake-clash-two 1.0.0" in record.error
    host = host_of("clash-one", "clash-two", policy=PluginPolicy(disabled={"Market_Data.fake-clash-ONE"}))
    assert host.provider("clash").factory == "market_data_fake_clash_two:Provider"
    assert [record.reason for record in host.records()] == ["disabled", None]


def test_two_plugins_that_offer_one_name_conflict_and_both_are_named(host_of, write, offering):
    host = host_of(write("left", offering("shared", "left")), write("right", offering("shared", "right")))
    with pytest.raises(errors.PluginConflict, match=r"the provider 'shared' is offered by 'left' .* and 'right'"):
        host.provider("shared")
    assert host.provider("left").plugin == "left"
    (problem,) = host.problems()
    assert str(problem) == (
        "the provider 'shared' is offered by 'left' (market-data-fake-left) and 'right' (market-data-fake-right);"
        " uninstall one, or name it in MDP_PLUGINS_DISABLED or the setting plugins.disabled, or set"
        " plugins.prefer.shared to the distribution to use"
    )


def test_the_entry_point_of_a_name_speaks_first_whatever_is_loaded(host_of, write, offering):
    host = host_of(write("own", offering("own")), write("intruder", offering("own", "intruder")))
    assert host.provider("own").plugin == "own"
    host.load_all()
    assert host.provider("own").plugin == "own"


def test_a_built_in_name_is_taken(host_of, write, offering):
    code = offering("parquet", hook="mdp_components", cls="ComponentSpec", more="kind='sink'")
    host = host_of(write("taker", code))
    assert host.load("taker").reason == "conflict"
    assert host.component("sink", "parquet").plugin == "builtin"


def test_one_plugin_under_two_names_is_no_conflict(host_of, write, offering):
    entries = f"[{GROUP}]\nib = market_data_fake_ibkr:plugin\nibkr = market_data_fake_ibkr:plugin\n"
    host = host_of(write("ibkr", offering("ibkr"), entries=entries))
    assert host.provider("ib").name == host.provider("ibkr").name == "ibkr"
    assert host.problems() == ()


def test_a_name_that_no_entry_point_has_is_looked_for_in_all_plugins(host_of, write, offering):
    host = host_of(write("suite", offering("one", "two")))
    assert host.provider("two").plugin == "suite"


def test_a_pipeline_takes_the_provider_of_a_name_or_else_the_source(host_of, write, offering):
    source = offering("tape", "film", hook="mdp_sources", cls="SourceSpec")
    host = host_of("good", "exit", write("tape", source))
    assert host.provider_or_source("good").kind == "provider"
    assert host.provider_or_source("tape").kind == "source"
    assert {record.state for record in host.records() if record.name == "exit"} == {"found"}
    assert host.provider_or_source("film").plugin == "tape"
    with pytest.raises(errors.PluginNotFound, match="no provider or source is named 'tap'; did you mean 'tape'"):
        host.provider_or_source("tap")


def test_a_plugin_that_offers_several_none_of_its_own_name_is_asked_by_theirs(host_of, write, offering):
    host = host_of(write("suite", offering("one", "two")))
    with pytest.raises(errors.PluginNotFound, match="no provider is named 'suite'"):
        host.provider("suite")
    with pytest.raises(errors.PluginNotFound, match="no source is named 'one'; 'one' is a provider"):
        host.source("one")


def test_an_unknown_name_gives_the_nearest_names(host_of):
    host = host_of("good", "exit")
    with pytest.raises(errors.PluginNotFound, match="no provider is named 'goood'; did you mean 'good'") as raised:
        host.provider("goood")
    assert "not usable: exit" in str(raised.value)
    with pytest.raises(errors.PluginNotFound, match=r"no operator is named 'parquet'; .*'parquet' is a sink"):
        host.component("operator", "parquet")
    with pytest.raises(errors.PluginNotFound, match="no plugin 'god' is installed; did you mean 'good'"):
        host.load("god")


def test_without_any_provider_the_error_says_how_to_get_one():
    with pytest.raises(errors.PluginNotFound, match=r"pip install . ./plugins/market-data-synthetic"):
        PluginHost(path=[]).provider("synthetic")


def test_all_plugins_off_leaves_the_built_in_components(host_of, monkeypatch):
    """RT-7."""
    monkeypatch.delitem(sys.modules, "market_data_fake_good", raising=False)
    host = host_of("good", policy=PluginPolicy(no_plugins=True))
    assert host.component("operator", "bars").plugin == "builtin"
    assert [(record.name, record.reason) for record in host.records()] == [("good", "disabled")]
    with pytest.raises(errors.PluginLoadError, match="all plugins are off; unset MDP_NO_PLUGINS"):
        host.provider("good")
    with pytest.raises(errors.PluginNotFound, match="disabled: good"):
        host.provider("other")
    assert "market_data_fake_good" not in sys.modules


def test_strict_makes_any_broken_plugin_stop_the_start(host_of):
    """RT-3."""
    strict = PluginPolicy(strict=True)
    with pytest.raises(errors.PluginLoadError, match="plugin 'exit'"):
        host_of("good", "exit", policy=strict).provider("good")
    assert host_of("good", policy=strict).provider("good").name == "good"
    assert host_of("good", "exit", policy=PluginPolicy(strict=True, disabled={"exit"})).provider("good")


def test_the_load_time_is_kept(host_of):
    host = host_of("good", timer=itertools.count(0, 7).__next__)
    assert host.load("good").load_ns == 7


def test_refresh_finds_what_was_installed_meanwhile(host_of, write, tmp_path, offering):
    host = host_of(tmp_path / "site")
    assert host.records() == ()
    write("fresh", offering("fresh"), folder="site")
    assert host.records() == ()
    host.refresh()
    assert host.provider("fresh").name == "fresh"


def test_two_hosts_know_nothing_of_each_other(host_of):
    one, two = host_of("good"), host_of("good")
    one.load_all()
    assert [record.state for record in two.records()] == ["found"]
    assert two.specs("good") == ()


def test_the_entry_point_may_name_a_module_or_a_class(host_of, write):
    module = "from market_data_pipeline.contracts import Capabilities\nfrom market_data_pipeline.plugins import *\n"
    module += (
        "def mdp_providers():\n    yield ProviderSpec(name='module', factory='a:b', capabilities=Capabilities())\n"
    )
    host = host_of(
        write("module", module, entries=f"[{GROUP}]\nmodule = market_data_fake_module\n"),
        write("class", "class plugin:\n    async def stream(self): yield\n    async def close(self): pass\n"),
    )
    assert host.provider("module").plugin == "module"
    assert host.source("class").resolve_factory() is importlib.import_module("market_data_fake_class").plugin


def test_a_plugin_in_a_zip_file_works(host_of, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "plugins"), "zip", DISTS / "good")
    host = host_of(archive)
    assert host.provider("good").plugin == "good"
    assert [Path(record.path).parent for record in host.records()] == [Path(archive)]


def test_a_plugin_whose_own_code_is_gone_is_to_be_installed_again(host_of, write):
    gone = f"[{GROUP}]\ngone = market_data_fake_moved.plugin:plugin\n"
    assert "its own code is not where its metadata says: install it again" in (
        host_of(write("gone", entries=gone)).load("gone").error
    )
