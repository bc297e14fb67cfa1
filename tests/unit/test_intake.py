"""The intake: it takes exactly what is wanted, and no source can hold it up."""

import asyncio
from contextlib import suppress

import anyio
import pytest

from market_data_pipeline.channel import Channel
from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import ChannelFull, ConnectionLost, SourceBug, SourceTimeout
from market_data_pipeline.model import Batch, Origin, Quote, QuoteBatch, SourceState, Trade
from market_data_pipeline.pipeline.intake import Intake
from market_data_pipeline.testing import simulate

ORIGIN = Origin("test", "test", 1, "live")


def quote(index):
    return Quote("A", index, index, index, 0, ORIGIN, 1, 2, 1.0, 1.0)


def batch(*indices):
    return QuoteBatch(map(quote, indices))


class Short:
    """A source that has `stream` and `close`, and nothing else."""

    def __init__(self, *rows, then=None):
        self.rows, self.then, self.closed = rows, then, 0

    async def stream(self):
        for row in self.rows:
            yield row
        if self.then is not None:
            raise self.then

    async def close(self):
        self.closed += 1


class Long(Short):
    """A source that has `batches` and `close`, and nothing else."""

    async def batches(self):
        for item in self.rows:
            yield item
        if self.then is not None:
            raise self.then


def run(source, *, count=None, policy="block", max_rows=100_000, beside=None):
    """Run an intake against a reader that takes all, and return it, what came, and how long it took."""

    async def main(loop):
        intake = Intake(source, count)
        channel = Channel("test", loop, policy=policy, max_rows=max_rows)
        items = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(intake.run, channel)
            if beside is not None:
                tasks.start_soon(beside, intake)
            while received := await channel.receive_many():
                items += received
        return intake, items, loop.time()

    return simulate(main)


def ordinals(items):
    return [row.ordinal for item in items if isinstance(item, Batch) for row in item.rows]


@pytest.mark.parametrize("source", [Short(*map(quote, range(5))), Long(batch(0, 1, 2), batch(3, 4))])
def test_the_source_needs_nothing_but_its_generator_and_close(source):
    intake, items, _ = run(source)
    assert (ordinals(items), intake.received, intake.ended, intake.error) == ([0, 1, 2, 3, 4], 5, True, None)
    assert intake.capabilities.pausable


def test_events_pass_between_the_rows():
    event = SourceState(source="test", ts=1, state="live")
    _, items, _ = run(Long(batch(1), event, batch(2)))
    assert [item if item is event else len(item) for item in items] == [1, event, 1]


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest", "conflate", "fail"])
@pytest.mark.parametrize("source", [Short(*map(quote, range(50))), Long(*(batch(n, n + 1, n + 2) for n in range(20)))])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_count_is_cut_exactly_whatever_the_policy(policy, source, count):
    intake, _, _ = run(source, count=count, policy=policy)
    assert (intake.received, intake.ended) == (count, False)


def test_a_count_that_the_source_just_has_is_a_count():
    for source in (Short(*map(quote, range(5))), Long(batch(0, 1, 2, 3, 4))):
        intake, items, _ = run(source, count=5)
        assert (len(ordinals(items)), intake.ended) == (5, False)


@pytest.mark.parametrize("source", [Short(quote(1), then=KeyError("x")), Long(batch(1), then=KeyError("x"))])
def test_a_foreign_error_comes_behind_the_rows_with_the_name_of_the_source(source):
    """G-4."""
    intake, items, _ = run(source)
    assert (ordinals(items), intake.ended) == ([1], False)
    with pytest.raises(SourceBug, match=rf"{type(source).__name__} raised KeyError: 'x'"):
        raise intake.error


@pytest.mark.parametrize("error", [SystemExit(1), BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError()])])
@pytest.mark.parametrize("form", [Short, Long])
def test_a_source_cannot_end_the_program(error, form):
    """F27."""
    intake, _, _ = run(form(then=error))
    assert isinstance(intake.error, SourceBug)


def test_an_error_of_the_contract_is_kept_as_it_is():
    error = SourceTimeout("no answer")
    assert run(Long(then=error))[0].error is error


def test_the_end_of_an_unbounded_stream_is_a_failure():
    """SR-2."""
    source = Long(batch(1))
    source.capabilities = Capabilities(unbounded=True)
    intake, items, _ = run(source)
    assert (ordinals(items), type(intake.error), intake.ended) == ([1], ConnectionLost, False)


def test_what_is_no_item_is_a_bug_with_its_type():
    with pytest.raises(SourceBug, match=r"Long gave a Quote: batches\(\) yields batches and control events"):
        raise run(Long(quote(1)))[0].error
    with pytest.raises(SourceBug, match=r"Short gave a str: stream\(\) yields Quote, Trade or Bar"):
        raise run(Short("row"))[0].error


def test_a_full_channel_that_fails_is_the_error_and_the_rows_are_counted():
    """SP-5."""

    class Crowd(Long):
        async def batches(self):
            for _ in range(3):
                yield batch(1, 2)

    intake, items, _ = run(Crowd(), policy="fail", max_rows=3)
    assert isinstance(intake.error, ChannelFull)
    assert (len(ordinals(items)), intake.received, intake.dropped) == (2, 4, {"fail": 2})

    intake, _, _ = run(Short(quote(1), Trade("A", 1, 1, 1, 0, ORIGIN, 1, 1.0)), policy="fail", max_rows=1)
    assert isinstance(intake.error, ChannelFull)
    assert intake.dropped == {"fail": 1}


async def stop(intake):
    await anyio.sleep(1)
    intake.stop()


def test_a_source_that_waits_is_stopped_at_once_and_may_still_clean_up():
    cleaned = []

    class Waits(Long):
        async def batches(self):
            try:
                yield batch(1)
                await anyio.sleep_forever()
            finally:
                await anyio.sleep(1)
                cleaned.append(True)

    intake, items, seconds = run(Waits(), beside=stop)
    assert (ordinals(items), intake.ended, cleaned, seconds) == ([1], False, [True], pytest.approx(2))


@pytest.mark.parametrize("form", ["batches", "stream"])
def test_a_generator_that_ignores_its_cancellation_is_left_behind_and_named(form, caplog):
    """F28."""

    async def deaf():
        yield batch(1) if form == "batches" else quote(1)
        begin = anyio.current_time()
        while anyio.current_time() < begin + 60:
            with suppress(asyncio.CancelledError):
                await anyio.sleep(60)
        yield batch(2) if form == "batches" else quote(2)

    source = Short()
    setattr(source, form, deaf)

    async def main(loop):
        intake, channel, items = Intake(source), Channel("test", loop), []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(intake.run, channel)
            tasks.start_soon(stop, intake)
            while received := await channel.receive_many():
                items += received
        seconds = loop.time()
        await anyio.sleep(100)  # it comes back, and finds nobody
        return items, seconds, intake

    items, seconds, intake = simulate(main)
    assert (ordinals(items), seconds, intake.error) == ([1], pytest.approx(3), None)
    assert "Short ignores its cancellation and was left behind after 2 s" in caplog.text


def test_a_source_that_cancels_itself_fails_alone():
    """F28."""

    class Odd(Long):
        async def batches(self):
            yield batch(1)
            raise asyncio.CancelledError

    intake, items, _ = run(Odd())
    assert ordinals(items) == [1]
    assert "nobody cancelled it" in str(intake.error)


def test_an_error_while_it_is_being_stopped_is_logged_and_no_failure(caplog):
    class Fails(Long):
        async def batches(self):
            try:
                yield batch(1)
                await anyio.sleep_forever()
            finally:
                raise OSError("socket")

    intake, _, _ = run(Fails(), beside=stop)
    assert intake.error is None
    assert "socket" in caplog.text


def test_an_error_in_the_cleanup_of_a_source_that_has_given_its_last_is_logged(caplog):
    class Fails(Long):
        async def batches(self):
            try:
                while True:
                    yield batch(1)
            finally:
                raise OSError("socket")

    async def main(loop):
        intake, channel = Intake(Fails()), Channel("test", loop, max_rows=1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(intake.run, channel)
            await anyio.sleep(1)  # the second batch waits for room
            intake.stop()
            await anyio.sleep(1)
            rows = len(await channel.receive_many())
            rows += len(await channel.receive_many())
        return intake.error, rows

    assert simulate(main) == (None, 2)
    assert "Fails failed while it was being stopped: Fails raised OSError: socket" in caplog.text


def test_a_stop_before_it_runs_takes_nothing():
    async def main(loop):
        intake, channel = Intake(Long(batch(1))), Channel("test", loop)
        intake.stop()
        await intake.run(channel)
        return intake.received, await channel.receive_many()

    assert simulate(main) == (0, [])


def test_the_generator_is_closed_by_the_task_that_iterated_it():
    """G-2."""
    tasks = []

    class Tells(Long):
        async def batches(self):
            tasks.append(asyncio.current_task())
            try:
                while True:
                    yield batch(1)
            finally:
                tasks.append(asyncio.current_task())

    run(Tells(), count=3)
    assert len(set(tasks)) == 1


def test_a_source_without_a_start_opens_and_one_with_a_slow_start_times_out():
    """RT-4."""

    class Slow(Long):
        async def start(self):
            await anyio.sleep_forever()

    simulate(lambda _: Intake(Long()).open())
    with pytest.raises(SourceTimeout, match="Slow did not start within 30 s"):
        simulate(lambda _: Intake(Slow()).open())


@pytest.mark.parametrize("status", ["none", "raises", "hangs"])
def test_a_source_that_cannot_say_how_far_it_is_has_no_progress(status):
    """G-6."""

    async def raises():
        raise SystemExit

    source = Long()
    if status != "none":
        source.status = raises if status == "raises" else anyio.sleep_forever
    assert simulate(lambda _: Intake(source).progress()) is None
