"""The vendor's own decoder, which is an extra."""

from __future__ import annotations

import importlib
from typing import Any

from market_data_pipeline.errors import InvalidRequest


def load() -> Any:
    """Return the module `databento_dbn`.

    Raises:
        InvalidRequest: It is not installed.
    """
    try:
        return importlib.import_module("databento_dbn")
    except ImportError as error:
        raise InvalidRequest(
            'DBN files need the package databento-dbn: pip install "market-data-replay[dbn]"', source="replay"
        ) from error
