"""What stages and adaptors add: a further operator of a pipeline, and the adaptors between rows and batches.

Goals: a further operator at most 2 ns a row in batches of 256; the adaptor of a source that gives rows one by one, and
the handle from which a program reads them one by one, at most 70 ns a row above an `async for` over the bare generator.
"""

import asyncio

from common import Kept, Prepared
from ratio import measure, per_row
from results import Table, at_most

from market_data_pipeline.channel import Channel
from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Capabilities, Outcome
from market_data_pipeline.model import Origin, Quote, QuoteBatch
from market_data_pipeline.operator import BaseOperator
from market_data_pipeline.orchestration.stream import Feed, TickStream
from market_data_pipeline.pipeline import StreamingPipeline
from market_data_pipeline.source.pump import RowPump

ORIGIN = Origin("bench", "bench", 1, "synthetic")
COUNT = 200_000
STAGES = 16


class Pass(BaseOperator):
    """Passes every batch on."""

    def on_batch(self, batch):
        return Outcome(items=(batch,), passed=len(batch))


class OneByOne:
    """A source that gives rows one by one."""

    symbols = ("A",)
    capabilities = Capabilities(kinds=frozenset({"quote"}), pausable=True)

    def __init__(self, rows):
        self._rows = rows

    async def stream(self):
        for row in self._rows:
            yield row

    async def close(self):
        pass


def quotes():
    return [Quote("A", ts, ts, ts, 0, ORIGIN, 100, 101, 1.0, 1.0) for ts in range(COUNT)]


def through(source, stages=0):
    sink = Kept()
    asyncio.run(StreamingPipeline(source=source, operator=[Pass() for _ in range(stages)], sink=sink).run())
    return sum(len(item) for item in sink.items if isinstance(item, QuoteBatch))


def bare(source):
    async def main():
        count = 0
        async for _ in source.stream():
            count += 1
        return count

    return asyncio.run(main())


def pumped(source):
    """The adaptor of a source alone: the pump, with nobody behind it who does anything."""

    async def main():
        pump, count = RowPump(source), 0

        async def fill():
            await pump.fill()
            pump.end()

        task = asyncio.ensure_future(fill())
        while batches := await pump.take():
            count += sum(map(len, batches))
        await task
        return count

    return asyncio.run(main())


def handled(source):
    """A program's own loop over a handle."""

    async def main():
        feed, count = Feed(source, policy="block", clock=SystemClock()), 0
        task = asyncio.ensure_future(feed.run())
        async for _ in TickStream(feed, Quote):
            count += 1
        await task
        return count

    return asyncio.run(main())


def received(source):
    """What a handle does but its iteration: the same source through the same feed, batch by batch."""

    async def main():
        feed, count = Feed(source, policy="block", clock=SystemClock()), 0
        channel: Channel = feed.channel
        task = asyncio.ensure_future(feed.run())
        while items := await channel.receive_many():
            count += sum(len(item) for item in items if isinstance(item, QuoteBatch))
        await task
        return count

    return asyncio.run(main())


def bench_stages(batches):
    none, some = "pipeline without operator", f"pipeline with {STAGES} operators that pass batches on"
    arms = {none: lambda: through(Prepared(batches)), some: lambda: through(Prepared(batches), STAGES)}
    assert {run() for run in arms.values()} == {COUNT}
    times = per_row(measure(arms, rounds=15), COUNT)
    stage = (times[some] - times[none]) / STAGES
    table = Table("stages", ["", "ns a row"])
    for name, spent in times.items():
        table.add(name, f"{spent:.1f}")
    table.add("**one operator more**", f"{stage:.2f}")
    table.goals.append(at_most(9, 2, stage, "one operator more, batches of 256", " ns"))
    table.publish()


def bench_adaptors(rows, batches):
    loop = "`async for` over the bare generator"
    pump, handle = "generator of rows to batches, the pump", "batches to `async for`, the handle of a stream"
    arms = {
        loop: lambda: bare(OneByOne(rows)),
        pump: lambda: pumped(OneByOne(rows)),
        "generator of rows through a whole pipeline": lambda: through(OneByOne(rows)),
        handle: lambda: handled(Prepared(batches)),
        "the same batches, received and not iterated": lambda: received(Prepared(batches)),
    }
    assert {run() for run in arms.values()} == {COUNT}
    times = per_row(measure(arms), COUNT)
    table = Table("adaptors", ["", "ns a row", "above the bare generator"])
    for name, spent in times.items():
        table.add(name, f"{spent:.0f}", "" if name == loop else f"{spent - times[loop]:.0f}")
    table.goals += [
        at_most(9, 70, times[pump] - times[loop], "a source's rows to batches, above the bare generator", " ns"),
        at_most(9, 70, times[handle] - times[loop], "a stream's handle, above the bare generator", " ns"),
    ]
    table.publish()


if __name__ == "__main__":
    every = quotes()
    in_batches = [QuoteBatch(every[start : start + 256]) for start in range(0, COUNT, 256)]
    bench_stages(in_batches)
    bench_adaptors(every, in_batches)
