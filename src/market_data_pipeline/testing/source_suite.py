"""The suite for tick sources."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, ClassVar, TypeAlias, get_args

import anyio
import anyio.lowlevel
import pytest

from market_data_pipeline.contracts import Capabilities, Services, StreamRequest, TickSource
from market_data_pipeline.errors import CapabilityNotSupported, SourceBusy, SourceClosed
from market_data_pipeline.model import Batch, Kind, Row, StreamItem
from market_data_pipeline.testing.heartbeat import watch
from market_data_pipeline.testing.judge import judge_stream
from market_data_pipeline.testing.leaks import Held
from market_data_pipeline.testing.services import FakeServices

_TURNS = 50
"""Turns of the loop in which a reader comes to wait, or reads on where nothing ever waits."""

MakeSource: TypeAlias = Callable[[StreamRequest, Services], TickSource]


class TickSourceConformance:
    """What holds for every source. Subclass it, say what the source can do, and how to make one.

    The tests are plain functions with a loop of their own: any async plugin of pytest may be active, or none.
    `make_source(request, services)` returns a new source each time, and may raise the contract's errors.

    Example::

        class TestAcme(TickSourceConformance):
            capabilities = CAPABILITIES
            symbols = ("AAPL", "MSFT")

            @pytest.fixture
            def make_source(self):
                return lambda request, services: AcmeSource(request, AcmeSettings(), services)
    """

    capabilities: ClassVar[Capabilities]
    """What the source declares."""
    symbols: ClassVar[Sequence[str]]
    """Symbols that it has data for."""
    negative_prices: ClassVar[bool] = False
    """Whether a price below zero can be real."""
    rows: ClassVar[int] = 200
    """How many rows are read and judged."""
    limit_s: ClassVar[float] = 10.0
    """Nothing may take longer: a bound against hanging, no measure of speed."""
    blocked_s: ClassVar[float] = 0.25
    """The loop must answer within this."""

    @pytest.fixture
    def make_source(self) -> MakeSource:
        """Return how to make a source.

        Raises:
            NotImplementedError: The subclass has no such fixture.
        """
        raise NotImplementedError(f"give {type(self).__name__} a fixture make_source: see TickSourceConformance")

    def test_the_stream_keeps_the_contract(self, make_source: MakeSource) -> None:
        """Rows are asked for, ordered, unique and free of sentinels: see `judge_stream`."""

        async def program() -> list[StreamItem]:
            return await _read(make_source(self._request(), FakeServices()), self.rows)

        items = self._run(program)
        wrong = judge_stream(
            items, request=self._request(), capabilities=self.capabilities, negative_prices=self.negative_prices
        )
        assert not wrong, "\n".join(map(str, wrong))
        assert _rows(items), "no row came: give symbols that the source has data for"

    def test_it_closes_twice(self, make_source: MakeSource) -> None:
        """`close` is idempotent, before the first row and after it."""

        async def program() -> None:
            source = make_source(self._request(), FakeServices())
            await source.start()
            await source.close()
            await source.close()

        self._run(program)

    def test_use_after_close_raises(self, make_source: MakeSource) -> None:
        """`batches` raises `SourceClosed` after `close`."""

        async def program() -> bool:
            source = make_source(self._request(), FakeServices())
            await source.start()
            await source.close()
            return await _raises(source, SourceClosed)

        assert self._run(program), "it can be iterated after close(): raise SourceClosed in batches()"

    def test_it_is_iterated_once(self, make_source: MakeSource) -> None:
        """`batches` raises `SourceBusy` while it is iterated."""

        async def program() -> bool:
            source = make_source(self._request(), FakeServices())
            await source.start()
            async with aclosing(source.batches()) as stream:
                await anext(stream, None)
                busy = await _raises(source, SourceBusy)
            await source.close()
            return busy

        assert self._run(program), "it can be iterated twice: raise SourceBusy in batches()"

    def test_nothing_comes_after_close(self, make_source: MakeSource) -> None:
        """The stream ends when the source is closed, and yields nothing more."""

        async def program() -> list[StreamItem]:
            source = make_source(self._request(), FakeServices())
            await source.start()
            async with aclosing(source.batches()) as stream:
                await anext(stream, None)
                await source.close()
                with suppress(SourceClosed):
                    item = await anext(stream, None)
                    return [] if item is None else [item]
            return []

        late = self._run(program)
        assert not late, f"data after close: {late[0]!r} came: look at the closed flag before every yield"

    def test_close_ends_a_waiting_stream(self, make_source: MakeSource) -> None:
        """A reader that waits for the next row is let go."""

        async def program() -> None:
            source = make_source(self._request(), FakeServices())
            await source.start()

            async def read() -> None:
                with suppress(SourceClosed):
                    async with aclosing(source.batches()) as stream:
                        async for _ in stream:
                            await anyio.lowlevel.checkpoint()

            async with anyio.create_task_group() as group:
                group.start_soon(read)
                for _ in range(_TURNS):
                    await anyio.lowlevel.checkpoint()
                await source.close()

        self._run(program, "the stream goes on after close(): wake whoever waits for the next row")

    @pytest.mark.parametrize("by", ["task", "scope"])
    def test_cancellation_leaks_nothing(self, make_source: MakeSource, by: str) -> None:
        """A cancelled reader ends, and after `close` no task, thread or descriptor is left."""

        async def program() -> list[str]:
            await anyio.lowlevel.checkpoint()
            before = Held.now()
            source = make_source(self._request(), FakeServices())
            await source.start()
            await _cancel(source, by)
            await source.close()
            await asyncio.sleep(0)
            return Held.now().more_than(before)

        left = self._run(program, "a cancelled reader does not end: never swallow CancelledError")
        assert not left, f"leaks {', '.join(left)}: end and close in close() whatever the source starts and opens"

    def test_two_sources_are_independent(self, make_source: MakeSource) -> None:
        """One that is closed does not end another."""

        async def program() -> list[StreamItem]:
            first = make_source(self._request(), FakeServices())
            second = make_source(self._request(), FakeServices(first_epoch=1_000))
            await first.start()
            await second.start()
            await first.close()
            return await _read(second, 1, started=True)

        assert _rows(self._run(program)), "closing one source ended another: share no state between sources"

    def test_an_undeclared_kind_raises(self, make_source: MakeSource) -> None:
        """A kind that is not in `Capabilities.kinds` is refused, when it is asked for or at the latest at the start."""
        undeclared: list[Kind] = sorted(set(get_args(Kind)) - self.capabilities.kinds)

        async def program(kind: Kind) -> bool:
            request = StreamRequest(symbols=tuple(self.symbols), kinds=frozenset({kind}))
            try:
                await _read(make_source(request, FakeServices()), 1)
            except CapabilityNotSupported:
                return True
            return False

        taken = [kind for kind in undeclared if not self._run(partial(program, kind))]
        assert not taken, f"{taken} are not declared, and asking raises nothing: raise CapabilityNotSupported"

    def test_the_loop_is_never_blocked(self, make_source: MakeSource) -> None:
        """The loop answers another thread while the source starts and reads; a busy computer gets three tries."""

        async def program() -> list[str]:
            with watch(asyncio.get_running_loop(), self.blocked_s) as blocked:
                await _read(make_source(self._request(), FakeServices()), 1)
            return blocked

        tries: list[list[str]] = []
        while len(tries) < 3 and (not tries or tries[-1]):  # noqa: PLR2004 (as the docstring says)
            tries.append(self._run(program))
        assert not tries[-1], f"blocks the loop at {tries[-1][0]}: await, or use a thread for what waits"

    def test_it_resumes_with_exactly_the_rest(self, make_source: MakeSource) -> None:
        """After a position come the rows that came after it before, if it is declared resumable."""
        if not self.capabilities.resumable:
            pytest.skip("not declared resumable")

        async def program() -> tuple[list[Row], list[Row]]:
            items = await _read(make_source(self._request(), FakeServices()), self.rows)
            places = [at for at, item in enumerate(items) if isinstance(item, Batch) and item.position is not None]
            assert places, "no batch has a position: give one, or do not declare resumable"
            place = places[(len(places) - 1) // 2]
            item = items[place]
            assert isinstance(item, Batch)
            rest = await _read(make_source(self._request(item.position), FakeServices()), self.rows)
            return _rows(items[place + 1 :]), _rows(rest)

        wanted, rest = self._run(program)
        length = min(len(wanted), len(rest))
        assert rest[:length] == wanted[:length], "other rows after a position than before: a position is exact"
        assert len(rest) >= len(wanted), "rows are missing after a position: a position is exact"

    def _request(self, after: str | None = None) -> StreamRequest:
        return StreamRequest(symbols=tuple(self.symbols), kinds=self.capabilities.kinds, after=after)

    def _run(self, program: Callable[[], Coroutine[Any, Any, Any]], hint: str = "never wait without an end") -> Any:
        async def bounded() -> Any:
            with anyio.move_on_after(self.limit_s):
                return True, await program()
            return False, None

        with asyncio.Runner() as runner:
            ended, result = runner.run(bounded())
        assert ended, f"nothing happened for {self.limit_s} s: {hint}"
        return result


async def _read(source: TickSource, rows: int, *, started: bool = False) -> list[StreamItem]:
    """Read until there are so many rows or the end, and close."""
    items: list[StreamItem] = []
    count = 0
    try:
        if not started:
            await source.start()
        async with aclosing(source.batches()) as stream:
            async for item in stream:
                items.append(item)
                count += len(item) if isinstance(item, Batch) else 0
                if count >= rows:
                    break
    finally:
        await source.close()
    return items


async def _raises(source: TickSource, error: type[Exception]) -> bool:
    try:
        async with aclosing(source.batches()) as stream:
            await anext(stream, None)
    except error:
        return True
    return False


async def _cancel(source: TickSource, by: str) -> None:
    """Read in a task, cancel it natively or by a scope, and wait for its end."""
    reading = asyncio.Event()

    async def read() -> None:
        async with aclosing(source.batches()) as stream:
            async for _ in stream:
                reading.set()
                await asyncio.sleep(0)
        reading.set()

    if by == "scope":
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await reading.wait()
            group.cancel_scope.cancel()
        return
    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    await asyncio.wait([task])


def _rows(items: Sequence[StreamItem]) -> list[Row]:
    return [row for item in items if isinstance(item, Batch) for row in item.rows]
