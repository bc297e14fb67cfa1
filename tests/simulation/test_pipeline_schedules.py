"""Whole pipelines under seeded schedules: stopped or cancelled at any moment, they add up and close everything."""

import asyncio
import random

import anyio
import anyio.lowlevel
import pytest

from market_data_pipeline.contracts import Capabilities, Outcome
from market_data_pipeline.model import Batch, Diverted, Origin, Quote, QuoteBatch
from market_data_pipeline.pipeline import PipelineContext, StreamingPipeline
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.testing import simulate

ORIGIN = Origin("test", "test", 1, "live")
SECOND = 1_000_000_000


class RowsSource:
    """Rows one by one, some of them late; it counts what it gave."""

    symbols = ("A",)

    def __init__(self, rng):
        self.rng = rng
        self.capabilities = Capabilities(kinds=frozenset({"quote"}), pausable=rng.random() < 0.5)
        self.given = 0
        self.closed = 0

    def quote(self):
        self.given += 1
        event = self.given * SECOND // 100 - (3 * SECOND if self.rng.random() < 0.05 else 0)
        return Quote("A", event, event, self.given, 0, ORIGIN, 1, 2, 1.0, 1.0)

    async def start(self):
        await anyio.sleep(self.rng.random())

    async def stream(self):
        for _ in range(self.rng.randrange(1, 1200)):
            yield self.quote()
            if self.rng.random() < 0.1:
                await anyio.sleep(self.rng.random() / 10)

    async def status(self):
        return None

    async def close(self):
        await anyio.lowlevel.checkpoint()
        self.closed += 1


class BatchesSource(RowsSource):
    """The same as batches, with a cleanup of its own that awaits."""

    async def batches(self):
        try:
            for _ in range(self.rng.randrange(1, 30)):
                yield QuoteBatch([self.quote() for _ in range(self.rng.randrange(1, 40))])
                if self.rng.random() < 0.7:
                    await anyio.sleep(self.rng.random() / 10)
        finally:
            await anyio.sleep(self.rng.random() / 10)


class Sink(MemorySink):
    def __init__(self, rng):
        super().__init__()
        self.rng = rng
        self.committed = 0
        self.closed = 0

    async def write(self, item):
        if self.rng.random() < 0.3:
            await anyio.sleep(self.rng.random() / 5)
        await super().write(item)

    async def commit(self, position, state):
        await anyio.sleep(self.rng.random())
        self.committed = len(self.rows)

    async def close(self):
        await anyio.sleep(self.rng.random())
        self.closed += 1


class Picky:
    """Filters one row in seven, and cannot take every five-hundredth."""

    accepts = frozenset({"quote"})
    stateless = True

    def on_batch(self, batch):
        if any(row.ordinal % 500 == 499 for row in batch.rows):
            raise ValueError("no such row")
        kept = [row for row in batch.rows if row.ordinal % 7]
        items = [QuoteBatch(kept)] if kept else []
        return Outcome(items=items, passed=len(kept), filtered=len(batch) - len(kept))

    def on_control(self, event):
        return Outcome(items=(event,))

    def finish(self):
        return Outcome()


class Pairs(Picky):
    """Holds rows back until there are two."""

    stateless = False
    held = ()

    def on_batch(self, batch):
        rows = (*self.held, *batch.rows)
        even = len(rows) // 2 * 2
        self.held = rows[even:]
        items = [QuoteBatch(rows[:even])] if even else []
        return Outcome(items=items, folded=len(batch), created=even)

    def finish(self):
        return Outcome(items=[QuoteBatch(self.held)] if self.held else [], created=len(self.held))


def pipeline_of(rng):
    ctx = PipelineContext(
        max_rows=rng.choice((10, 100, 100_000)),
        count=rng.choice((None, None, 137)),
        on_full=rng.choice((None, "block", "drop_oldest", "drop_newest", "conflate")),
    )
    source = rng.choice((RowsSource, BatchesSource))(rng)
    sinks = [Sink(rng) for _ in range(rng.randrange(1, 4))]
    operators = rng.choice(([], [Picky()], [Pairs()], [Picky(), Pairs()], [Pairs(), Pairs(), Picky()]))
    return StreamingPipeline(source=source, operator=operators, sink=sinks, ctx=ctx), source, sinks


async def watch(pipeline, rng):
    while True:
        assert pipeline.ledger.mismatches() == []
        await anyio.sleep(rng.random() / 10)


@pytest.mark.parametrize("part", range(4))
def test_stopped_at_any_moment_all_that_was_accepted_is_committed_and_the_ledger_adds_up_all_the_time(part):
    """L-1, SP-9."""
    reasons = set()
    seen = dict.fromkeys(("dropped", "late", "failed"), 0)
    for seed in range(part * 150, part * 150 + 150):
        rng = random.Random(seed)
        pipeline, source, sinks = pipeline_of(rng)

        async def main(_, pipeline=pipeline, rng=rng):
            async with anyio.create_task_group() as tasks:

                async def stop():
                    await anyio.sleep(rng.random() * 4)
                    pipeline.stop()

                tasks.start_soon(watch, pipeline, rng)
                tasks.start_soon(stop)
                result = await pipeline.run(rng.choice((None, rng.random() * 4)))
                tasks.cancel_scope.cancel()
            return result

        result = simulate(main, seed=seed)
        ledger = result.ledger
        assert ledger.mismatches() == [], seed
        assert (result.undelivered, ledger.queued, ledger.dropped["stop"]) == (0, 0, 0), seed
        assert ledger.received == min(source.given, pipeline.ctx.count or source.given), seed
        assert result.reason != "count" or ledger.received == 137, seed
        for sink, counts in zip(sinks, ledger.sinks, strict=True):
            assert len(sink.rows) == sink.committed == counts.delivered == counts.received, seed
            assert sink.closed == 1, seed
        if not any(isinstance(stage._operator, Pairs) for stage in pipeline._stages):
            ordinals = [row.ordinal for row in sinks[0].rows]
            assert ordinals == sorted(ordinals), seed
        aside = [item for item in sinks[0].items if isinstance(item, Diverted)]
        assert sum(len(item.batch) for item in aside if item.reason == "late") == ledger.late, seed
        assert source.closed == 1, seed
        reasons.add(result.reason)
        seen["dropped"] += ledger.dropped.total()
        seen["late"] += ledger.late
        seen["failed"] += sum(stage.failed for stage in ledger.operators)
    assert reasons == {"end", "stopped", "duration", "count"}
    assert all(seen.values()), seen


@pytest.mark.parametrize("way", ["native", "native twice", "scope"])
def test_cancelled_at_any_moment_everything_is_closed_and_the_ledger_adds_up(way):
    """F30, G-3, L-1."""
    ended = 0
    for seed in range(150):
        rng = random.Random(seed)
        pipeline, source, sinks = pipeline_of(rng)

        async def main(_, pipeline=pipeline, rng=rng):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch, pipeline, rng)
                if way == "scope":
                    with anyio.move_on_after(rng.random() * 4) as scope:
                        await pipeline.run()
                    cancelled = scope.cancelled_caught
                else:
                    task = asyncio.ensure_future(pipeline.run())
                    await asyncio.wait({task}, timeout=rng.random() * 4)
                    task.cancel()
                    if way == "native twice":
                        await asyncio.wait({task}, timeout=rng.random())
                        task.cancel()
                    await asyncio.wait({task})
                    cancelled = task.cancelled()
                tasks.cancel_scope.cancel()
            return cancelled

        cancelled = simulate(main, seed=seed)
        assert pipeline.state == ("failed" if cancelled else "done"), seed
        assert pipeline.ledger.mismatches() == [], seed
        assert (source.closed, [sink.closed for sink in sinks]) == (1, [1] * len(sinks)), seed
        ended += not cancelled
    assert 0 < ended < 150


def test_a_batch_that_waits_for_room_when_the_pipeline_is_stopped_is_still_delivered():
    """SP-9."""

    class Slow(MemorySink):
        async def write(self, item):
            await anyio.sleep(5)
            await super().write(item)

    rng = random.Random(7)
    source = BatchesSource(rng)
    source.capabilities = Capabilities(kinds=frozenset({"quote"}), pausable=True)
    sink = Slow()
    pipeline = StreamingPipeline(source=source, sink=sink, ctx=PipelineContext(max_rows=1, drain_timeout_sec=100))
    result = simulate(lambda _: pipeline.run(3))
    late = sum(len(item.batch) for item in sink.items if isinstance(item, Diverted))
    assert sum(len(item) for item in sink.items if isinstance(item, Batch)) + late == source.given
    assert result.ledger.received == source.given
