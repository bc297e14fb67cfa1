"""What is installed, for tests of the command line."""

import sys
from pathlib import Path

import importlib_metadata
import pytest

from market_data_pipeline.plugins import discovery

DISTS = Path(__file__).parents[1] / "data" / "dists"


@pytest.fixture
def installed(monkeypatch):
    """Let only the distributions in some folders be installed."""
    before = set(sys.modules)

    def installed(*folders):
        path = [str(DISTS / folder) for folder in folders]
        for folder in path:
            monkeypatch.syspath_prepend(folder)
        monkeypatch.setattr(discovery, "distributions", lambda: importlib_metadata.distributions(path=path))

    yield installed
    for name in set(sys.modules) - before:
        if name.startswith("market_data_fake_"):
            del sys.modules[name]
