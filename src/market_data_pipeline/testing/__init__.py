"""What tests of a pipeline and of its plugins need.

Everything here is imported on first use. The suites need pytest, which the extra `testing` installs; the rest does not.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

from market_data_pipeline.laziness import lazy

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
    from market_data_pipeline.testing.simclock import SimClock
    from market_data_pipeline.testing.simloop import DeadlockError, LivelockError, SimLoop, simulate
    from market_data_pipeline.testing.simnet import LinkFaults, SimLink, SimNet, SimStream
    from market_data_pipeline.testing.vendor import Arrival, FakeVendor

__all__ = [
    "RULES",
    "Arrival",
    "DeadlockError",
    "FakeServices",
    "FakeVendor",
    "HistoricalConformance",
    "LinkFaults",
    "LivelockError",
    "OperatorConformance",
    "OptionsConformance",
    "PluginConformance",
    "SimClock",
    "SimLink",
    "SimLoop",
    "SimNet",
    "SimStream",
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
    "simclock": ("SimClock",),
    "simloop": ("DeadlockError", "LivelockError", "SimLoop", "simulate"),
    "simnet": ("LinkFaults", "SimLink", "SimNet", "SimStream"),
    "vendor": ("Arrival", "FakeVendor"),
}


def _load(path: str) -> ModuleType:
    """Import a module of this room; pytest shows the values in failed assertions of the suites, told in time."""
    if path == f"{__name__}.conformance":
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
    __getattr__ = lazy(__name__, _MODULES, _load)


def __dir__() -> list[str]:
    return __all__
