"""One pipeline: everything accepted reaches the sinks' commit, and the ledger adds up."""

import asyncio
import itertools
from contextlib import suppress

import anyio
import pytest

from market_data_pipeline.batcher import HybridBatcher
from market_data_pipeline.contracts import Capabilities, Outcome, SourceStatus
from market_data_pipeline.errors import (
    BatcherError,
    ConfigurationError,
    ConnectionLost,
    OperatorError,
    SinkError,
    SourceBug,
)
from market_data_pipeline.model import Diverted, Origin, Quote, QuoteBatch, Refused
from market_data_pipeline.operator import EventTimePolicy, SecondBarAggregator
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


class Tracked(MemorySink):
    """Notes what is called."""

    def __init__(self):
        super().__init__()
        self.calls = []

    async def open(self, pipeline):
        self.calls.append("open")

    async def close(self):
        self.calls.append("close")


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


# --- stopping at every moment ---------------------------------------------------------------------------------------


def test_a_stop_before_the_run_opens_nothing_and_closes_everything():
    """SP-9."""
    source, sink = Batches([10]), Tracked()
    pipeline = StreamingPipeline(source=source, sink=sink)
    pipeline.stop()
    pipeline.stop()
    result = run(pipeline)
    assert (result.reason, result.ledger.received, pipeline.state) == ("stopped", 0, "done")
    assert (source.closed, sink.calls) == (1, ["close"])


def at(seconds, pipeline, act):
    """Run a pipeline and do something after so many seconds; return its result and how long it took."""

    async def main(loop):
        async with anyio.create_task_group() as tasks:

            async def later():
                await anyio.sleep(seconds)
                act()

            tasks.start_soon(later)
            result = await pipeline.run()
        return result, loop.time()

    return simulate(main)


@pytest.mark.parametrize("slow", ["source", "sink"])
def test_a_stop_while_it_opens_ends_that_at_once(slow):
    """SP-9."""
    source, sink = Batches([10]), Tracked()
    (source if slow == "source" else sink).__dict__["start" if slow == "source" else "open"] = forever
    pipeline = StreamingPipeline(source=source, sink=sink)
    result, seconds = at(3, pipeline, pipeline.stop)
    assert (result.reason, result.ledger.received, seconds) == ("stopped", 0, pytest.approx(3))
    assert (source.closed, sink.calls[-1]) == (1, "close")


async def forever(*_):
    await anyio.sleep_forever()


def test_a_stop_while_the_last_commit_hangs_bounds_it_and_a_second_stop_does_not_prolong_that():
    """SP-9."""
    sink = Uncommitted()
    sink.hang = True
    ctx = PipelineContext(drain_timeout_sec=20.0)
    pipeline = StreamingPipeline(source=Batches([10]), sink=sink, ctx=ctx)

    async def twice():
        await anyio.sleep(10)
        pipeline.stop()

    async def main(loop):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(twice)
            tasks.start_soon(twice_later)
            result = await pipeline.run()
        return result, loop.time()

    async def twice_later():
        await anyio.sleep(15)
        pipeline.stop()

    result, seconds = simulate(main)
    assert (result.reason, result.undelivered, seconds) == ("end", 10, pytest.approx(30))


def test_a_sink_that_hangs_in_write_is_given_up_and_what_waits_is_counted():
    """SP-9."""
    sink = Tracked()
    sink.write = forever
    pipeline = StreamingPipeline(source=Batches([600] * 10), sink=sink, ctx=PipelineContext(max_rows=1000))
    result, seconds = at(1, pipeline, pipeline.stop)
    ledger = result.ledger
    assert (seconds, ledger.mismatches(), result.undelivered) == (pytest.approx(21), [], ledger.received - 600)
    assert ledger.dropped["stop"] == 600  # the batch that waited for room
    assert result.undelivered == ledger.queued + ledger.sinks[0].held == 1200


def test_a_sink_that_ignores_its_cancellation_is_left_behind(caplog):
    """F28."""

    class Deaf(Tracked):
        async def write(self, item):
            end = anyio.current_time() + 100
            while anyio.current_time() < end:
                with suppress(asyncio.CancelledError):
                    await anyio.sleep(100)

    sink = Deaf()
    pipeline = StreamingPipeline(source=Batches([600], forever=True), sink=sink)
    result, seconds = at(1, pipeline, pipeline.stop)
    assert (seconds, result.undelivered, sink.calls[-1]) == (pytest.approx(23), 600, "close")
    assert "ignores its cancellation and was left behind" in caplog.text


def test_a_source_that_ignores_its_cancellation_is_left_behind_and_its_rows_are_committed():
    """F28."""

    class Deaf(Batches):
        async def batches(self):
            yield QuoteBatch([quote(1)])
            end = anyio.current_time() + 100
            while anyio.current_time() < end:
                with suppress(asyncio.CancelledError):
                    await anyio.sleep(100)

    sink = Uncommitted()
    pipeline = StreamingPipeline(source=Deaf([]), sink=sink)
    result, seconds = at(1, pipeline, pipeline.stop)
    assert (seconds, sink.commits, result.undelivered) == (pytest.approx(3), 1, 0)


# --- failing at every place -----------------------------------------------------------------------------------------


def test_a_sink_that_does_not_open_closes_those_that_did_and_starts_no_source():
    first, second = Tracked(), Tracked()
    second.open = fail
    source = Batches([10])
    source.start = fail  # would be another error
    with pytest.raises(SinkError, match="sink Tracked cannot open: OSError: on fire"):
        run(StreamingPipeline(source=source, sink=[first, second]))
    assert (first.calls, second.calls, source.closed) == (["open", "close"], ["close"], 1)


async def fail(*_):
    raise OSError("on fire")


def test_a_sink_that_opens_for_ever_is_a_transient_error():
    sink = Tracked()
    sink.open = forever
    with pytest.raises(SinkError, match="did not open within 30 s") as caught:
        run(StreamingPipeline(source=Batches([1]), sink=sink))
    assert caught.value.transient


def test_a_source_that_does_not_start_closes_all():
    source, sink = Batches([10]), Tracked()
    source.start = fail
    pipeline = StreamingPipeline(source=source, sink=sink)
    with pytest.raises(SourceBug, match="Batches raised OSError: on fire"):
        run(pipeline)
    assert (source.closed, sink.calls, pipeline.state) == (1, ["open", "close"], "failed")


@pytest.mark.parametrize("order", [0, 1])
def test_a_failing_sink_keeps_nothing_from_the_others_whatever_their_order(order):
    """SP-10."""
    sinks = [Uncommitted(), Broken()]
    good = sinks[0]
    pipeline = StreamingPipeline(source=Batches([300, 300, 300]), sink=sinks[:: 1 if order else -1])
    with pytest.raises(SinkError):
        run(pipeline)
    assert (len(good.rows), good.commits, pipeline.ledger.mismatches()) == (600, 1, [])


def test_all_errors_are_kept():
    """SP-10."""

    class Fails(Uncommitted):
        async def commit(self, position, state):
            raise OSError("no space")

    source = Batches([5])
    source.sizes = ["?"]  # range() of it fails, in the source
    pipeline = StreamingPipeline(source=source, sink=[Fails(), Broken(), Fails()])
    with pytest.raises(ExceptionGroup, match="the pipeline failed") as caught:
        run(pipeline)
    assert [type(error) for error in caught.value.exceptions] == [SourceBug, SinkError, SinkError, SinkError][:3]


@pytest.mark.parametrize("method", ["on_batch", "on_control", "finish"])
def test_an_operator_that_fails_leaves_what_came_through_before_to_the_sinks(method):
    """SP-10."""

    class Fails(Pass):
        stateless = False

    operator = Fails()
    calls = []

    def act(*arguments):
        calls.append(arguments)
        if method == "finish" or len(calls) > 1:
            raise KeyError("state")
        return getattr(Pass(), method)(*arguments)

    setattr(operator, method, act)
    sink = Uncommitted()
    pipeline = StreamingPipeline(source=Batches([100, 100], forever=method != "finish"), operator=operator, sink=sink)
    with pytest.raises(OperatorError, match=f"KeyError in {method}"):
        run(pipeline)
    assert (len(sink.rows) >= 100, sink.commits, pipeline.ledger.mismatches()) == (True, 1, [])


def test_a_batcher_that_fails_has_its_own_error_and_the_sink_commits():
    class Odd:
        deadline = None

        def add(self, item):
            raise IndexError("held")

        flush = add

    class Own(Odd):
        def add(self, item):
            raise BatcherError("mine")

        def flush(self):
            return ()

    sink = Uncommitted()
    pipeline = StreamingPipeline(source=Batches([1]), batcher=Odd(), sink=sink)
    with pytest.raises(ExceptionGroup) as caught:
        run(pipeline)
    assert "batcher Odd raised IndexError: held" in str(caught.value.exceptions[0])
    assert (sink.commits, pipeline.ledger.mismatches()) == (1, [])
    with pytest.raises(BatcherError, match=r"^mine$"):
        run(StreamingPipeline(source=Batches([1]), batcher=Own(), sink=MemorySink()))


def test_a_rescue_that_hangs_ends_after_two_seconds():
    """SP-10."""
    hangs = Uncommitted()
    hangs.hang = True

    async def main(loop):
        with pytest.raises(SinkError):
            await StreamingPipeline(source=Batches([600]), sink=[hangs, Broken()]).run()
        return loop.time()

    assert simulate(main) == pytest.approx(2)


def test_a_row_that_the_entry_cannot_read_is_the_sources_fault():
    """G-4."""

    class Odd(Rows):
        async def stream(self):
            yield Quote("A", None, None, 1, 0, ORIGIN, 1, 2, 1.0, 1.0)
            yield Quote("A", 5, 5, 1, 0, ORIGIN, 1, 2, 1.0, 1.0)

    pipeline = StreamingPipeline(source=Odd(2), sink=MemorySink())
    with pytest.raises(SourceBug, match="Odd raised TypeError"):
        run(pipeline)
    assert pipeline.ledger.mismatches() == []


def test_a_ledger_that_does_not_add_up_is_an_error_in_the_log(caplog):
    """L-1."""
    pipeline = StreamingPipeline(source=Batches([10], forever=True), sink=MemorySink())
    pipeline._accepted = 1
    run(pipeline, 25.0)
    assert caplog.text.count("does not add up: entry: 10 rows went in, 11 are accounted for") == 3


# --- timers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [0, 0.04])
def test_a_source_that_is_never_quiet_is_flushed_and_committed_in_time_all_the_same(pause):
    """SP-2, HB-1."""

    class Trickle(Batches):
        async def batches(self):
            while True:
                yield QuoteBatch([quote(1)])
                await anyio.sleep(pause or 0.001)

    class Ages(Uncommitted):
        async def write(self, item):
            self.ages.append(anyio.current_time())

        ages: list[float]

    sink = Ages()
    sink.ages = []
    live = Capabilities(kinds=frozenset({"quote"}), unbounded=True)
    ctx = PipelineContext(commit_sec=1.0)
    run(StreamingPipeline(source=Trickle([], capabilities=live), sink=sink, ctx=ctx), 10.0)
    between = [later - earlier for earlier, later in itertools.pairwise(sink.ages)]
    assert max(between) <= 0.1 + 0.05
    assert sink.commits in (10, 11)


def test_a_quiet_source_has_its_rows_written_when_they_are_old_enough():
    """HB-1."""
    seen = []

    class Tells(MemorySink):
        async def write(self, item):
            seen.append(anyio.current_time())

    run(StreamingPipeline(source=Batches([1], forever=True), sink=Tells()), 5.0)
    assert seen[0] == pytest.approx(0.1)


def test_a_failing_write_while_the_source_is_quiet_ends_the_pipeline():
    pipeline = StreamingPipeline(source=Batches([1], forever=True), sink=Broken())
    with pytest.raises(SinkError, match="disk on fire"):
        run(pipeline)


# --- looking at it --------------------------------------------------------------------------------------------------


def test_a_status_stays_what_it_was():
    """G-6."""

    async def main(_):
        pipeline = StreamingPipeline(source=Rows(100, pause=1), operator=Pass(), sink=MemorySink())
        before = await pipeline.status()
        kept = str(before)
        await pipeline.run()
        after = await pipeline.status()
        return before, kept, after

    before, kept, after = simulate(main)
    assert str(before) == kept
    assert (before.state, before.watermark, before.ts_recv, before.progress) == ("new", None, 0, None)
    assert (after.state, after.ledger.received, after.ts_recv) == ("done", 100, 99)


def test_progress_is_the_part_of_the_count_or_what_the_source_says():
    class Half(Batches):
        async def status(self):
            return SourceStatus(connected=True, progress=0.5)

    async def main(_):
        pipeline = StreamingPipeline(source=Half([3], forever=True), sink=MemorySink(), ctx=ctx)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pipeline.run)
            await anyio.sleep(1)
            progress = (await pipeline.status()).progress
            pipeline.stop()
        return progress

    ctx = PipelineContext()
    assert simulate(main) == 0.5
    ctx = PipelineContext(count=4)
    assert simulate(main) == 0.75


def test_symbols_that_a_source_does_not_serve_are_said_in_the_log(caplog):
    class Refuses(Batches):
        async def batches(self):
            yield Refused(source="x", ts=0, symbols=frozenset({"NOPE"}), error="UnknownSymbol: there is no NOPE")

    run(StreamingPipeline(source=Refuses([1]), sink=MemorySink()))
    assert "does not serve NOPE: UnknownSymbol: there is no NOPE" in caplog.text


@pytest.mark.parametrize(
    ("ctx", "kept", "dropped"),
    [
        (PipelineContext(), [0, 1, 2, 3], {"drop_newest": 96}),
        (PipelineContext(on_full="drop_oldest"), [96, 97, 98, 99], {"drop_oldest": 96}),
        (PipelineContext(max_rows=10), list(range(10)), {"drop_newest": 90}),
        (PipelineContext(on_full="block"), list(range(100)), {}),
    ],
    ids=["batcher", "on_full", "max_rows", "block"],
)
def test_the_batcher_bounds_the_queue_before_the_operators_unless_the_context_does(ctx, kept, dropped):
    """HB-1."""
    sink = MemorySink()
    batcher = HybridBatcher(max_rows=2, op_queue_max=2, drop_policy="newest")
    result = run(StreamingPipeline(source=Batches([1] * 100), batcher=batcher, sink=sink, ctx=ctx))
    assert ([row.ordinal for row in sink.rows], dict(result.ledger.dropped)) == (kept, dropped)


@pytest.mark.parametrize(
    ("window", "ctx", "late"),
    [
        (1, PipelineContext(), 2),
        (EventTimePolicy(1, allowed_lateness_sec=3), PipelineContext(), 1),
        (EventTimePolicy(1, allowed_lateness_sec=1), PipelineContext(), 2),
        (EventTimePolicy(1, allowed_lateness_sec=3), PipelineContext(allowed_lateness_ns=0), 3),
    ],
)
def test_a_row_is_not_late_that_an_operator_still_waits_for(window, ctx, late):
    """SP-7."""

    class Back(Rows):
        async def stream(self):
            for second in (10.0, 9.0, 7.5, 6.0):
                at = int(second * 1e9)
                yield Quote("A", at, at, int(1e9 - at), 0, ORIGIN, 1, 2, 1.0, 1.0)

    operator = SecondBarAggregator(window, basis="bid")
    result = run(StreamingPipeline(source=Back(0), operator=operator, sink=MemorySink(), ctx=ctx))
    assert (result.ledger.late, result.ledger.operators[0].folded) == (late, 4 - late)
