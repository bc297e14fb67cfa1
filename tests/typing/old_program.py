"""A program for the earlier system as a type checker sees it: `nox -s types` checks it and nothing runs it."""

from collections.abc import AsyncGenerator
from typing import Literal, assert_type

from market_data_pipeline import (
    PipelineBuilder,
    PipelineContext,
    PipelineOverrides,
    PipelineResult,
    PipelineSpec,
    StreamingPipeline,
    Trade,
    create_pipeline,
)
from market_data_pipeline.batcher import HybridBatcher
from market_data_pipeline.model import Row
from market_data_pipeline.operator import EventTimePolicy, SecondBarAggregator
from market_data_pipeline.orchestration import CircuitBreaker
from market_data_pipeline.sink import StoreSink
from market_data_pipeline.source.base import SourceStatus, TickSource

OVERRIDES = PipelineOverrides(ticks_per_sec=100, bar_window_sec=60, batch_size=500, drop_policy="oldest")


class Prices(TickSource):
    """A source of rows."""

    symbols = ("AAPL",)

    def __init__(self, trades: list[Trade]) -> None:
        """Keep what it gives."""
        self._trades = trades

    async def stream(self) -> AsyncGenerator[Trade, None]:
        """Yield it."""
        for trade in self._trades:
            yield trade


async def main() -> None:
    """Make every call of the migration page."""
    spec = PipelineSpec(
        tenant_id="acme",
        pipeline_id="quotes",
        source="synthetic",
        symbols=["AAPL"],
        duration_sec=5,
        operator="bars",
        sink="store",
        overrides=OVERRIDES,
    )
    builder = PipelineBuilder()
    assert_type(builder.build(spec), StreamingPipeline)
    assert_type(await builder.build_and_run(spec), PipelineResult)
    made = create_pipeline("acme", "quotes", source="synthetic", symbols=["AAPL"], overrides=OVERRIDES)
    assert_type(made, StreamingPipeline)
    pipeline = StreamingPipeline(
        source=Prices([]),
        operator=SecondBarAggregator(EventTimePolicy(window_sec=60)),
        batcher=HybridBatcher(500, 512_000, 100, op_queue_max=8, drop_policy="oldest"),
        sink=StoreSink(),
        ctx=PipelineContext(tenant_id="acme", pipeline_id="prices"),
    )
    assert_type(await pipeline.run(duration_sec=5), PipelineResult)
    assert_type(await HybridBatcher().flush(), list[Row] | None)
    assert_type(await Prices([]).status(), SourceStatus)
    breaker = CircuitBreaker(threshold=5, timeout=60.0, half_open_attempts=1)
    assert_type(breaker.is_open(), bool)
    assert_type(breaker.get_state(), Literal["closed", "open", "half_open"])
    await breaker.record_failure()
    await breaker.record_success()
    await breaker.reset()
