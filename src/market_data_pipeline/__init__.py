"""Market data from any installed vendor plugin: streams, bars, files and replay through one contract.

Everything here is imported on first use, so that `import market_data_pipeline` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market_data_pipeline.laziness import lazy

if TYPE_CHECKING:
    from market_data_pipeline.contracts import (
        Batcher,
        Capabilities,
        MarketDataProvider,
        Operator,
        Outcome,
        RowSource,
        Services,
        Sink,
        SourceStatus,
        StreamRequest,
        TickSource,
    )
    from market_data_pipeline.errors import MarketDataError
    from market_data_pipeline.model import Bar, Flag, Origin, Quote, Trade
    from market_data_pipeline.orchestration import PipelineRuntime, SyncRuntime
    from market_data_pipeline.pipeline import (
        PipelineBuilder,
        PipelineContext,
        PipelineOverrides,
        PipelineResult,
        PipelineSpec,
        StreamingPipeline,
        create_pipeline,
    )
    from market_data_pipeline.settings import PipelineSettings

__all__ = [
    "Bar",
    "Batcher",
    "Capabilities",
    "Flag",
    "MarketDataError",
    "MarketDataProvider",
    "Operator",
    "Origin",
    "Outcome",
    "PipelineBuilder",
    "PipelineContext",
    "PipelineOverrides",
    "PipelineResult",
    "PipelineRuntime",
    "PipelineSettings",
    "PipelineSpec",
    "Quote",
    "RowSource",
    "Services",
    "Sink",
    "SourceStatus",
    "StreamRequest",
    "StreamingPipeline",
    "SyncRuntime",
    "TickSource",
    "Trade",
    "create_pipeline",
]

_ROOMS: Final = {
    "contracts": (
        "Batcher",
        "Capabilities",
        "MarketDataProvider",
        "Operator",
        "Outcome",
        "RowSource",
        "Services",
        "Sink",
        "SourceStatus",
        "StreamRequest",
        "TickSource",
    ),
    "errors": ("MarketDataError",),
    "model": ("Bar", "Flag", "Origin", "Quote", "Trade"),
    "orchestration": ("PipelineRuntime", "SyncRuntime"),
    "pipeline": (
        "PipelineBuilder",
        "PipelineContext",
        "PipelineOverrides",
        "PipelineResult",
        "PipelineSpec",
        "StreamingPipeline",
        "create_pipeline",
    ),
    "settings": ("PipelineSettings",),
}


if not TYPE_CHECKING:  # pragma: no branch - a checker must see misspelt names
    __getattr__ = lazy(__name__, _ROOMS)


def __dir__() -> list[str]:
    return __all__
