"""Fake distributions, which lie on disk with real metadata, on a real `sys.path`."""

import sys
from pathlib import Path

import pytest

from market_data_pipeline.plugins import GROUP, PluginHost

DISTS = Path(__file__).parents[1] / "data" / "dists"


@pytest.fixture
def host_of(monkeypatch):
    """Make a host of the folders with fake distributions, which are on `sys.path` until the test ends."""
    before = set(sys.modules)

    def make(*folders, **arguments):
        path = [str(DISTS / folder) for folder in folders]
        for folder in path:
            monkeypatch.syspath_prepend(folder)
        return PluginHost(path=path, **arguments)

    yield make
    for name in set(sys.modules) - before:
        if name.startswith("market_data_fake_"):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    """Write a distribution to disk and return its folder; `code` is its module, `entries` its entry_points.txt."""

    def make(name, code="", *, entries=None, folder=None):
        module = f"market_data_fake_{name.replace('-', '_')}"
        home = tmp_path / (folder or name)
        info = home / f"{module}-1.0.0.dist-info"
        info.mkdir(parents=True)
        home.joinpath(f"{module}.py").write_text(code)
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: market-data-fake-{name}\nVersion: 1.0.0\n")
        text = f"[{GROUP}]\n{name} = {module}:plugin\n" if entries is None else entries
        info.joinpath("entry_points.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return home

    return make


@pytest.fixture
def offering():
    """Write the code of a plugin that offers some names."""

    def make(*names, hook="mdp_providers", cls="ProviderSpec", more="capabilities=Capabilities()"):
        specs = ", ".join(f"{cls}(name={name!r}, factory='math:sqrt', {more})" for name in names)
        return f"""
from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import *
class Plugin(PluginHooks):
    def {hook}(self, context):
        return [{specs}]
plugin = Plugin()
"""

    return make
