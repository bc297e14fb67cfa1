"""Whole pipelines under seeded schedules: stopped at any moment, they lose nothing that they accepted."""

import random

import anyio
import anyio.lowlevel

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.model import Origin, Quote, QuoteBatch
from market_data_pipeline.pipeline import PipelineContext, StreamingPipeline
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.testing import simulate

ORIGIN = Origin("test", "test", 1, "live")


class Source:
    symbols = ("A",)

    def __init__(self, rng):
        self.rng = rng
        self.capabilities = Capabilities(kinds=frozenset({"quote"}), pausable=rng.random() < 0.5)

    async def start(self):
        await anyio.sleep(self.rng.random())

    async def batches(self):
        ordinal = 0
        for _ in range(self.rng.randrange(1, 30)):
            size = self.rng.randrange(1, 40)
            yield QuoteBatch(Quote("A", n, n, n, 0, ORIGIN, 1, 2, 1.0, 1.0) for n in range(ordinal, ordinal + size))
            ordinal += size
            if self.rng.random() < 0.7:
                await anyio.sleep(self.rng.random() / 10)

    async def status(self):
        return None

    async def close(self):
        await anyio.lowlevel.checkpoint()


class SlowSink(MemorySink):
    def __init__(self, rng):
        super().__init__()
        self.rng = rng
        self.committed = 0

    async def write(self, item):
        if self.rng.random() < 0.3:
            await anyio.sleep(self.rng.random() / 5)
        await super().write(item)

    async def commit(self, position, state):
        await anyio.sleep(self.rng.random())
        self.committed = len(self.rows)


def test_whatever_the_schedule_all_that_was_accepted_is_committed_and_the_ledger_adds_up():
    """L-1, SP-9."""
    reasons = set()
    dropped = 0
    for seed in range(1000):
        rng = random.Random(seed)
        sink = SlowSink(rng)
        ctx = PipelineContext(max_rows=rng.choice((10, 100, 100_000)))
        pipeline = StreamingPipeline(source=Source(rng), sink=sink, ctx=ctx)

        async def main(_, pipeline=pipeline, rng=rng):
            async with anyio.create_task_group() as tasks:

                async def stop():
                    await anyio.sleep(rng.random() * 3)
                    assert pipeline.ledger.mismatches() == []
                    pipeline.stop()

                tasks.start_soon(stop)
                result = await pipeline.run()
                tasks.cancel_scope.cancel()
            return result

        result = simulate(main, seed=seed)
        ledger = result.ledger
        assert ledger.mismatches() == [], seed
        assert (result.undelivered, ledger.queued) == (0, 0), seed
        assert len(sink.rows) == sink.committed == ledger.accepted == ledger.sinks[0].delivered, seed
        ordinals = [row.ordinal for row in sink.rows]
        assert ordinals == sorted(ordinals), seed
        reasons.add(result.reason)
        dropped += ledger.dropped.total()
    assert reasons == {"end", "stopped"}
    assert dropped > 0
