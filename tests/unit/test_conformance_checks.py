"""Checks of the conformance suites against small sources that break one promise each, and against unusual good ones."""

import asyncio
import gc
from contextlib import aclosing

import pytest

from market_data_pipeline.contracts import Capabilities, SourceStatus, StreamRequest
from market_data_pipeline.errors import CapabilityNotSupported, ConnectionLost, InvalidRequest, SourceBusy, SourceClosed
from market_data_pipeline.model import Origin, Trade, TradeBatch
from market_data_pipeline.testing import TickSourceConformance
from market_data_pipeline.testing.conformance.expecting import raises
from market_data_pipeline.testing.conformance.running import run
from market_data_pipeline.testing.conformance.steps import timed_tasks
from market_data_pipeline.testing.conformance.subject import Subject

T0 = 1_704_205_800_000_000_000
CAPABILITIES = Capabilities(kinds=frozenset({"trade"}), pausable=True)
RESUMABLE = Capabilities(kinds=frozenset({"trade"}), pausable=True, resumable=True)


def trade(symbol, ordinal):
    ts = T0 + ordinal * 1_000_000
    return Trade(symbol, ts, ts, ordinal, 0, Origin("acme", "acme", 1, "live"), 10**9, 1.0)


def check(request):
    if request.kinds != {"trade"}:
        raise CapabilityNotSupported("there are trades alone: ask for them")


class Source:
    """Twenty trades, one a millisecond; positions count them."""

    capabilities = RESUMABLE

    def __init__(self, request, services):
        check(request)
        self.request = request
        self.symbols = request.symbols
        self.clock = services.clock
        self.state = "new"

    async def start(self):
        pass

    def batches(self):
        if self.state != "new":
            raise (SourceClosed if self.state == "closed" else SourceBusy)("ask for another")
        self.state = "open"
        return self.stream()

    async def stream(self):
        for ordinal in range(int(self.request.after or 0), 20):
            await self.clock.sleep_until(self.clock.monotonic_ns() + 1_000_000)
            if self.state == "closed":
                return
            yield self.batch(ordinal)

    def batch(self, ordinal):
        symbol = self.symbols[ordinal % len(self.symbols)]
        return TradeBatch([trade(symbol, ordinal)], position=str(ordinal + 1))

    async def status(self):
        return SourceStatus(connected=True)

    async def close(self):
        self.state = "closed"


class Suite(TickSourceConformance):
    rows = 20


def subject_of(source, *, capabilities=RESUMABLE, limit=10.0):
    return Subject(
        capabilities=capabilities,
        request=StreamRequest(symbols=("AAPL", "MSFT"), kinds=frozenset({"trade"})),
        make_source=source,
        make_provider=None,
        virtual=True,
        limit=limit,
    )


class TestSmallSource(Suite):
    capabilities = RESUMABLE
    symbols = ("AAPL", "MSFT")
    virtual = True

    @pytest.fixture
    def make_source(self):
        return Source


class RowByRow:
    """The short form of a source."""

    def __init__(self, request, services):
        check(request)
        self.symbols = request.symbols
        self.clock = services.clock
        self.wake = asyncio.Event()

    async def stream(self):
        for ordinal in range(40):
            await self.clock.sleep_until(self.clock.monotonic_ns() + 1_000_000)
            if self.wake.is_set():
                return
            yield trade(self.symbols[0], ordinal)

    async def close(self):
        self.wake.set()


class TestRowByRow(Suite):
    capabilities = CAPABILITIES
    symbols = ("AAPL",)
    virtual = True

    @pytest.fixture
    def make_source(self):
        return RowByRow


class WrongPositions(Source):
    def batch(self, ordinal):
        return TradeBatch(super().batch(ordinal).rows, position=str(ordinal))


class NoPositions(Source):
    def batch(self, ordinal):
        return TradeBatch(super().batch(ordinal).rows)


class CloseIsDeaf(Source):
    async def stream(self):
        await asyncio.Event().wait()
        yield


class ClosesOnce(Source):
    async def close(self):
        if self.state == "closed":
            raise ConnectionLost("it is closed")
        await super().close()


class OpenAfterClose(Source):
    def batches(self):
        if self.state == "closed":
            raise SourceBusy("it was used")
        return super().batches()


class IteratesTwice(Source):
    def batches(self):
        self.state = "new"
        return super().batches()


class OthersSymbols(Source):
    def __init__(self, request, services):
        super().__init__(request, services)
        self.symbols = ("AAPL",)


class NoStatus(Source):
    async def status(self):
        return True


class Empty(Source):
    async def stream(self):
        return
        yield


class ChangesOthers(Source):
    async def set_symbols(self, symbols):
        """Say that it serves them, and do not."""
        self.symbols = symbols

    def batch(self, ordinal):
        return TradeBatch([trade(self.request.symbols[0], ordinal)])


class ForgetsToSay(Source):
    async def set_symbols(self, symbols):
        """Serve them, and do not say so."""


class IsNothing:
    capabilities = RESUMABLE
    symbols = ("AAPL", "MSFT")

    def __init__(self, request, services):
        pass

    def batches(self):
        raise NotImplementedError

    async def close(self):
        pass


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (WrongPositions, "test_resumes", "after position '0' come other rows than the first time"),
        (NoPositions, "test_resumes", "no batch has a position: set Batch.position"),
        (CloseIsDeaf, "test_close_ends_the_wait", "still waits 2 s after close()"),
        (OpenAfterClose, "test_is_closed_after_close", "raises SourceBusy: it was used: raise SourceClosed"),
        (IteratesTwice, "test_is_iterated_once", "raises nothing: raise SourceBusy"),
        (OthersSymbols, "test_is_a_source", "return the requested symbols"),
        (NoStatus, "test_status_is_told_at_any_time", "return a market_data_pipeline.contracts.SourceStatus"),
        (Empty, "test_stream_is_well_formed", "ended without a row"),
        (ChangesOthers, "test_changes_symbols", "symbol: item 0"),
        (ForgetsToSay, "test_changes_symbols", "after set_symbols its symbols are"),
        (IsNothing, "test_is_a_source", "IsNothing is no TickSource and no RowSource"),
    ],
)
def test_a_broken_promise_is_named(source, name, message):
    suite = Suite()
    suite.symbols = ("AAPL", "MSFT")
    with pytest.raises(AssertionError) as caught:
        getattr(suite, name)(subject_of(source))
    assert message in str(caught.value)


def test_a_second_close_that_raises_is_seen():
    with pytest.raises(ConnectionLost):
        Suite().test_closes_twice(subject_of(ClosesOnce))


def test_a_source_that_cannot_change_its_symbols_serves_what_it_served():
    class Fixed(Source):
        async def set_symbols(self, symbols):
            raise InvalidRequest("they are fixed: ask for another source")

    suite = Suite()
    suite.symbols = ("AAPL", "MSFT")
    suite.test_changes_symbols(subject_of(Fixed))


def test_a_check_that_hangs_is_bounded_and_says_where():
    with pytest.raises(
        AssertionError, match=r"within 3 s, it waits in .*well_formed.* > read.*raise the suite's `limit`"
    ):
        Suite().test_stream_is_well_formed(subject_of(CloseIsDeaf, limit=3))


def test_a_task_that_ignores_its_cancellation_is_left_behind():
    async def stubborn(services):
        while True:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                continue

    with pytest.raises(AssertionError, match="did not end within 1 s"):
        run(stubborn, virtual=True, limit=1)
    gc.collect()  # here, where its log is captured


class Stubborn(Source):
    """It ignores its first so many cancellations."""

    lives = 1

    async def stream(self):
        for _ in range(self.lives + 1):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.lives -= 1
                if self.lives < 0:
                    raise
        yield


class Tireless(Stubborn):
    lives = 150_000


@pytest.mark.parametrize(
    ("source", "way", "message"),
    [(Stubborn, "native", "it does not end within 2 s"), (Tireless, "scope", "never catch CancelledError without")],
)
def test_a_source_that_ignores_cancellation_is_named(source, way, message):
    with pytest.raises(AssertionError, match=message):
        Suite().test_cancellation_is_prompt(subject_of(source), way)


def test_a_suite_without_a_factory_says_what_to_write():
    with pytest.raises(pytest.fail.Exception, match="neither the fixture make_source"):
        Suite().test_stream_is_well_formed(subject_of(None))


def test_an_error_of_another_kind_is_told_with_what_was_expected():
    with (
        pytest.raises(AssertionError, match="asking raises ValueError: no: raise SourceBusy"),
        raises(SourceBusy, "asking"),
    ):
        raise ValueError("no")


def test_the_longest_step_of_any_task_is_known():
    """G-1: a step is what runs between two waits."""
    time = 0

    async def slow():
        nonlocal time
        time += 7
        await asyncio.sleep(0)
        time += 30

    async def program(services):
        async def work():
            nonlocal time
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(slow())
            time += 10

        return await timed_tasks(work(), timer=lambda: time)

    for virtual in (True, False):
        steps = run(program, virtual=virtual, limit=5)
        assert steps.longest_ns == 30
        assert steps.name.endswith("slow")


def test_steps_of_tasks_that_are_cancelled_are_timed_too():
    async def program(services):
        async def work():
            task = asyncio.create_task(asyncio.sleep(100))
            await asyncio.sleep(1)
            task.cancel()
            async with aclosing(_rows()) as rows:
                assert [row async for row in rows] == [1]
            with pytest.raises(asyncio.CancelledError):
                await task

        return await timed_tasks(work())

    assert run(program, virtual=True, limit=500).name


async def _rows():
    yield 1
