"""One pipeline: everything accepted reaches the sinks' commit, and the ledger adds up."""

import anyio
import pytest

from market_data_pipeline.contracts import Capabilities, Outcome
from market_data_pipeline.errors import ConfigurationError, ConnectionLost, OperatorError, SinkError, SourceBug
from market_data_pipeline.model import Diverted, Origin, Quote, QuoteBatch
from market_data_pipeline.pipeline import PipelineContext, StreamingPipeline
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.testing import simulate

ORIGIN = Origin("test", "test", 1, "live")


def quote(index):
    return Quote("A", index, index, index, 0, ORIGIN, 1, 2, 1.0, 1.0)


class Rows:
    """The shortest source: rows one by one."""

    symbols = ("A",)

    def __init__(self, count, pause=0.0, error=None):
        self.count, self.pause, self.error, self.closed = count, pause, error, 0

    async def stream(self):
        for index in range(self.count):
            if self.pause:
                await anyio.sleep(self.pause)
            yield quote(index)
        if self.error:
            raise self.error

    async def close(self):
        self.closed += 1


class Batches(Rows):
    """The full contract."""

    capabilities = Capabilities(kinds=frozenset({"quote"}), pausable=True)

    def __init__(self, sizes, *, forever=False, capabilities=None):
        super().__init__(sum(sizes))
        self.sizes, self.forever = sizes, forever
        self.capabilities = capabilities or self.capabilities

    async def start(self):
        pass

    async def batches(self):
        index = 0
        for size in self.sizes:
            yield QuoteBatch(quote(index + offset) for offset in range(size))
            index += size
        if self.forever:
            await anyio.sleep_forever()

    async def status(self):
        return None


class Pass:
    accepts = frozenset({"quote"})
    stateless = True

    def __init__(self, *, bad=lambda row: False):
        self.bad = bad

    def on_batch(self, batch):
        if any(self.bad(row) for row in batch.rows):
            raise ValueError("bad row")
        return Outcome(items=[batch], passed=len(batch))

    def on_control(self, event):
        return Outcome(items=[event])

    def finish(self):
        return Outcome()

    def snapshot(self):
        return b""

    def restore(self, state):
        pass


class Broken(MemorySink):
    async def write(self, item):
        raise OSError("disk on fire")


class Uncommitted(MemorySink):
    """Counts commits, and may hang in them."""

    commits = 0
    hang = False

    async def commit(self, position, state):
        if self.hang:
            await anyio.sleep_forever()
        self.commits += 1


def run(pipeline, duration=None, *, seed=0):
    return simulate(lambda _: pipeline.run(duration), seed=seed)


@pytest.mark.parametrize("source", [Rows(5000), Rows(50, pause=0.01), Batches([1, 3000, 7, 100_000])], ids=repr)
def test_all_rows_of_a_source_that_ends_are_delivered_in_order(source):
    """L-1."""
    sink = MemorySink(max_rows=1_000_000)
    result = run(StreamingPipeline(source=source, operator=Pass(), sink=sink))
    assert [row.ordinal for row in sink.rows] == list(range(source.count))
    assert (result.reason, result.undelivered, result.ledger.mismatches()) == ("end", 0, [])
    assert result.ledger.sinks[0].delivered == source.count
    assert source.closed == 1


@pytest.mark.parametrize("count", [1, 10, 1024, 1500])
def test_count_stops_after_exactly_so_many_rows(count):
    sink = MemorySink()
    ctx = PipelineContext(count=count)
    result = run(StreamingPipeline(source=Batches([1000, 1000]), sink=sink, ctx=ctx))
    assert (result.reason, len(sink.rows), result.ledger.received) == ("count", count, count)


def test_duration_stops_a_stream_that_never_ends_and_commits():
    """SP-9."""
    sink = Uncommitted()
    pipeline = StreamingPipeline(source=Batches([10], forever=True), sink=sink)
    result = run(pipeline, 5.0)
    assert (result.reason, len(sink.rows), sink.commits, pipeline.state) == ("duration", 10, 1, "done")


def test_a_live_source_is_committed_while_it_runs():
    """SP-2."""
    sink = Uncommitted()
    live = Capabilities(kinds=frozenset({"quote"}), unbounded=True)
    ctx = PipelineContext(commit_sec=60.0)
    run(StreamingPipeline(source=Batches([10], forever=True, capabilities=live), sink=sink, ctx=ctx), 150.0)
    assert sink.commits == 3


def test_the_end_of_a_live_stream_is_a_failure_and_what_came_is_committed():
    """SR-2."""
    sink = Uncommitted()
    live = Capabilities(kinds=frozenset({"quote"}), unbounded=True)
    with pytest.raises(ConnectionLost, match="ended"):
        run(StreamingPipeline(source=Batches([10], capabilities=live), sink=sink))
    assert (len(sink.rows), sink.commits) == (10, 1)


def test_a_foreign_exception_of_a_source_is_a_source_bug_behind_its_rows():
    """G-4."""
    sink = Uncommitted()
    with pytest.raises(SourceBug, match="Rows raised KeyError"):
        run(StreamingPipeline(source=Rows(10, error=KeyError("x")), sink=sink))
    assert (len(sink.rows), sink.commits) == (10, 1)


def test_a_failing_sink_fails_the_pipeline_and_the_other_sink_commits():
    """SP-10."""
    good = Uncommitted()
    with pytest.raises(SinkError, match="sink Broken cannot write: OSError: disk on fire"):
        run(StreamingPipeline(source=Batches([2000]), sink=[good, Broken()]))
    assert (len(good.rows), good.commits) == (2000, 1)


def test_a_drain_that_takes_too_long_is_given_up_and_counted():
    """SP-9."""
    sink = Uncommitted()
    sink.hang = True
    ctx = PipelineContext(drain_timeout_sec=20.0)
    result = run(StreamingPipeline(source=Batches([10], forever=True), sink=sink, ctx=ctx), 1.0)
    assert (result.undelivered, result.ledger.mismatches()) == (10, [])


def test_a_row_that_a_stateless_operator_cannot_take_is_put_aside():
    """SP-11."""
    sink = MemorySink()
    pipeline = StreamingPipeline(source=Batches([1000]), operator=Pass(bad=lambda row: row.ordinal == 637), sink=sink)
    result = run(pipeline)
    aside = [row.ordinal for item in sink.items if isinstance(item, Diverted) for row in item.batch.rows]
    assert aside == [637]
    assert [row.ordinal for row in sink.rows] == [index for index in range(1000) if index != 637]
    assert (result.ledger.operators[0].failed, result.ledger.mismatches()) == (1, [])


def test_too_many_rows_put_aside_fail_the_pipeline():
    """SP-11."""
    pipeline = StreamingPipeline(
        source=Batches([1000]), operator=Pass(bad=lambda row: row.ordinal % 50 == 0), sink=MemorySink()
    )
    with pytest.raises(OperatorError, match="cannot take 11 of the last 1000 rows"):
        run(pipeline)


def test_an_operator_that_loses_rows_is_caught():
    """L-1."""

    class Loses(Pass):
        stateless = False

        def on_batch(self, batch):
            return Outcome(items=[batch[:-1]], passed=len(batch) - 1)

    with pytest.raises(OperatorError, match="was given 10 rows and accounts for 9"):
        run(StreamingPipeline(source=Batches([10]), operator=Loses(), sink=MemorySink()))


def test_an_operator_that_does_not_take_the_kind_says_so():
    class Trades(Pass):
        accepts = frozenset({"trade"})

    with pytest.raises(OperatorError, match="takes trade rows, and source Batches gave quote rows"):
        run(StreamingPipeline(source=Batches([10]), operator=Trades(), sink=MemorySink()))


def test_a_pipeline_runs_once():
    pipeline = StreamingPipeline(source=Batches([10]), sink=MemorySink())
    run(pipeline)
    with pytest.raises(ConfigurationError, match="ran already"):
        run(pipeline)


def test_cancellation_stops_at_once_and_closes_everything():
    source = Batches([10], forever=True)

    async def main(_):
        with anyio.move_on_after(1.0):
            await StreamingPipeline(source=source, sink=MemorySink()).run()

    simulate(main, seed=0)
    assert source.closed == 1
