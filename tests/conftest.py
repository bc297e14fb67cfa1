"""Distributions that a test writes itself."""

import pytest


@pytest.fixture
def write(tmp_path):
    """Write a distribution to disk and return its folder; `code` is its module, `entries` its entry_points.txt."""

    from market_data_pipeline.plugins import GROUP  # which the tests of wheels do not have beside them

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


@pytest.fixture(autouse=True)
def _own_data_directory(tmp_path_factory, monkeypatch):
    """Keep what a runtime writes of itself out of the user's data directory."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
