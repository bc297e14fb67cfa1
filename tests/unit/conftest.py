"""Fake distributions, which lie on disk with real metadata, on a real `sys.path`."""

import sys
from pathlib import Path

import pytest

from market_data_pipeline.plugins import PluginHost

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
