"""The conformance kit names every misbehaviour of a hostile plugin, by one check, and passes the same one behaving."""

import inspect
import os
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest

from market_data_pipeline.testing import PluginConformance, TickSourceConformance

HOSTILE = Path(__file__).parents[1] / "plugins" / "market-data-hostile"

FAULTS = {
    "leaks-task": ("test_cancellation_leaks_nothing", "leaks task hostile"),
    "leaks-descriptor": ("test_cancellation_leaks_nothing", "leaks descriptor"),
    "data-after-close": ("test_nothing_comes_after_close", "data after close"),
    "time-back": ("test_the_stream_keeps_the_contract", "time-order: item 2 of A"),
    "unasked-symbol": ("test_the_stream_keeps_the_contract", "unasked-symbol: item 0 of NOBODY"),
    "nan": ("test_the_stream_keeps_the_contract", "sentinel: item 0 of A: bid_size is nan"),
    "minus-one": ("test_the_stream_keeps_the_contract", "sentinel: item 0 of A: bid_px is -1000000000"),
    "undeclared-kind": ("test_an_undeclared_kind_raises", "are not declared, and asking raises nothing"),
    "blocks-loop": ("test_the_loop_is_never_blocked", "blocks the loop at"),
}
CONSEQUENCES = {"data-after-close": {"test_close_ends_a_waiting_stream"}}
"""What else cannot hold then: a stream that never looks at close() does not end either."""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """Install the plugin as a link: its code and the metadata of its pyproject.toml on sys.path."""
    project = tomllib.loads((HOSTILE / "pyproject.toml").read_text())["project"]
    info = tmp_path_factory.mktemp("hostile") / f"market_data_hostile-{project['version']}.dist-info"
    info.mkdir()
    requires = "".join(f"Requires-Dist: {line}\n" for line in project["dependencies"])
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head + requires)
    ((group, entries),) = project["entry-points"].items()
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}")
    paths = [str(HOSTILE / "src"), str(info.parent)]
    sys.path[:0] = paths
    yield
    for path in paths:
        sys.path.remove(path)
    for name in [name for name in sys.modules if name.startswith("market_data_hostile")]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def given_back():
    yield
    from market_data_hostile.source import LEAKED

    for leaked in LEAKED:
        if isinstance(leaked, int):
            os.close(leaked)
    LEAKED.clear()


def failures(suite, **fixtures):
    """Run every check of a suite and return the message of each that fails."""
    found = {}
    for name, check in inspect.getmembers(suite, inspect.ismethod):
        if not name.startswith("test_"):
            continue
        wanted = inspect.signature(check).parameters
        for by in ["task", "scope"] if "by" in wanted else [None]:
            arguments = {key: value for key, value in {**fixtures, "by": by}.items() if key in wanted}
            try:
                check(**arguments)
            except AssertionError as error:
                found[name] = str(error)
            except pytest.skip.Exception:
                continue
    return found


def source_failures(fault):
    from market_data_hostile.capabilities import CAPABILITIES
    from market_data_hostile.source import HostileSource

    class Suite(TickSourceConformance):
        capabilities = CAPABILITIES
        symbols = ("A", "B")
        rows = 20
        limit_s = 2.0

    return failures(Suite(), make_source=partial(HostileSource, fault=fault))


def plugin_failures(name):
    class Suite(PluginConformance):
        plugin = name
        settings = {"api_key": "do-not-show-me"}  # noqa: RUF012
        secrets = ("api_key",)

    return failures(Suite())


def test_a_source_that_behaves_passes():
    assert source_failures(None) == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_misbehaviour_of_a_source_is_named(fault):
    check, message = FAULTS[fault]
    found = source_failures(fault)
    assert message in found.pop(check)
    assert set(found) == CONSEQUENCES.get(fault, set())


def test_a_plugin_that_behaves_passes():
    assert plugin_failures("hostile") == {}


def test_work_at_import_is_named(monkeypatch):
    monkeypatch.setenv("HOSTILE_WORKS", "")  # and taken back afterwards
    found = plugin_failures("hostile-works")
    assert "work at import (thread, environment)" in found.pop("test_its_import_starts_nothing")
    assert not found


def test_secrets_in_a_repr_are_named():
    found = plugin_failures("hostile-shows")
    assert "secrets in repr: api_key" in found.pop("test_secrets_are_never_shown")
    assert not found
