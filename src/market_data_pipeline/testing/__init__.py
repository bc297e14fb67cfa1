"""What tests of a pipeline and of its plugins need.

Everything here is imported on first use. The suites need pytest, which the extra `testing` installs; the rest does not.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from market_data_pipeline.testing.conformance import (
        HistoricalConformance,
        OperatorConformance,
        OptionsConformance,
        PluginConformance,
        SinkConformance,
        TickSourceConformance,
    )
    from market_data_pipeline.testing.judge import RULES, Violation, judge_chain, judge_history, judge_stream
    from market_data_pipeline.testing.samples import sample_stream
    from market_data_pipeline.testing.services import FakeServices
    from market_data_pipeline.testing.simloop import DeadlockError, SimLoop, simulate

__all__ = [
    "RULES",
    "DeadlockError",
    "FakeServices",
    "HistoricalConformance",
    "OperatorConformance",
    "OptionsConformance",
    "PluginConformance",
    "SimLoop",
    "SinkConformance",
    "TickSourceConformance",
    "Violation",
    "judge_chain",
    "judge_history",
    "judge_stream",
    "sample_stream",
    "simulate",
]

_MODULES: Final = {
    "conformance": (
        "HistoricalConformance",
        "OperatorConformance",
        "OptionsConformance",
        "PluginConformance",
        "SinkConformance",
        "TickSourceConformance",
    ),
    "judge": ("RULES", "Violation", "judge_chain", "judge_history", "judge_stream"),
    "samples": ("sample_stream",),
    "services": ("FakeServices",),
    "simloop": ("DeadlockError", "SimLoop", "simulate"),
}
_HOME: Final = {name: module for module, names in _MODULES.items() for name in names}


def _load(module: str) -> Any:
    """Import a module of this room; pytest shows the values in failed assertions of the suites, told in time."""
    path = f"{__name__}.{module}"
    if module == "conformance":
        try:
            import pytest
        except ImportError as error:
            raise ImportError(
                "the conformance suites need pytest: pip install 'market-data-pipeline[testing]'"
            ) from error
        if path not in sys.modules:  # who imported it by itself did not ask for that
            pytest.register_assert_rewrite(path)
    return import_module(path)


if not TYPE_CHECKING:  # pragma: no branch - a checker would take every misspelt name for one that exists

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(_load(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
