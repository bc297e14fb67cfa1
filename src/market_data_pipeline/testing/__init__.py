"""What tests of a pipeline and of its plugins need; the suites need pytest, everything else no test framework."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from market_data_pipeline.testing.judge import judge_stream
    from market_data_pipeline.testing.operator_suite import OperatorConformance
    from market_data_pipeline.testing.plugin_suite import PluginConformance
    from market_data_pipeline.testing.services import FakeServices
    from market_data_pipeline.testing.simloop import DeadlockError, SimLoop, simulate
    from market_data_pipeline.testing.source_suite import TickSourceConformance
    from market_data_pipeline.testing.violation import Violation

__all__ = [
    "DeadlockError",
    "FakeServices",
    "OperatorConformance",
    "PluginConformance",
    "SimLoop",
    "TickSourceConformance",
    "Violation",
    "judge_stream",
    "simulate",
]

_HOME: Final = {
    "DeadlockError": "simloop",
    "FakeServices": "services",
    "OperatorConformance": "operator_suite",
    "PluginConformance": "plugin_suite",
    "SimLoop": "simloop",
    "TickSourceConformance": "source_suite",
    "Violation": "violation",
    "judge_stream": "judge",
    "simulate": "simloop",
}


if not TYPE_CHECKING:  # pragma: no branch - a checker would take every misspelt name for one that exists

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = f"{__name__}.{_HOME[name]}"
        if module.endswith("_suite"):
            import pytest

            pytest.register_assert_rewrite(module)
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return __all__
