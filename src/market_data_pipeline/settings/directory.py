"""Where data is kept."""

from __future__ import annotations

import os
from pathlib import Path


def data_directory() -> Path:
    """Return where data is kept unless settings say otherwise: `MDP__DATA_DIR`, or the user's data directory."""
    named = os.environ.get("MDP__DATA_DIR")
    return Path(named) if named else default_data_directory()


def default_data_directory() -> Path:
    """Return the user's data directory."""
    from platformdirs import user_data_path

    return user_data_path("market-data-pipeline", appauthor=False)
