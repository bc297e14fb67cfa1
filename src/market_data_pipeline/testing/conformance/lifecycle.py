"""Checks of how a source begins and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from market_data_pipeline.contracts import Capabilities, SourceStatus, TickSource
from market_data_pipeline.errors import SourceBusy, SourceClosed
from market_data_pipeline.model import Batch, StreamItem
from market_data_pipeline.testing.conformance.expecting import raises
from market_data_pipeline.testing.conformance.leaks import new_tasks
from market_data_pipeline.testing.conformance.subject import Rows, Subject, read, take
from market_data_pipeline.testing.conformance.suite import SourceSuite
from market_data_pipeline.testing.judge import judge_stream, summary
from market_data_pipeline.testing.services import FakeServices

PROMPT = 2.0
"""Seconds in which a source has to end."""
TURNS = (0, 1, 2, 3, 5, 8, 13)
"""After so many turns of the loop a consumer is cancelled."""


class LifecycleChecks(SourceSuite):
    """It starts, ends, and can be given up at any time."""

    def test_closes_twice(self, subject: Subject) -> None:
        """A second `close` does nothing, before a start and after one."""

        async def check(services: FakeServices) -> None:
            async with subject.made(services) as source:
                await source.close()
                await source.close()
            async with subject.opened(services) as source:
                await read(source, 1)
                await source.close()
                await source.close()

        subject.run(check)

    def test_is_closed_after_close(self, subject: Subject) -> None:
        """To iterate it after `close` raises `SourceClosed`."""

        async def check(services: FakeServices) -> None:
            async with subject.opened(services) as source:
                if isinstance(source, Rows):
                    pytest.skip("the core keeps this for a RowSource")
                await source.close()
                with raises(SourceClosed, "batches() after close()"):
                    await read(source, 1)

        subject.run(check)

    def test_is_iterated_once(self, subject: Subject) -> None:
        """To iterate it a second time raises `SourceBusy`."""

        async def check(services: FakeServices) -> None:
            async with subject.opened(services) as source:
                if isinstance(source, Rows):
                    pytest.skip("the core keeps this for a RowSource")
                async with aclosing(source.batches()) as stream:
                    await take(stream, 1)
                    with raises(SourceBusy, "batches() of a source that is iterated already"):
                        await read(source, 1)

        subject.run(check)

    def test_yields_nothing_after_close(self, subject: Subject) -> None:
        """Once `close` has returned, nothing comes of a stream that was open."""

        async def check(services: FakeServices) -> Sequence[StreamItem]:
            async with subject.opened(services) as source, aclosing(source.batches()) as stream:
                await take(stream, 1)
                await source.close()
                return await rest(stream)

        late = subject.run(check)
        assert not late, (
            f"{late[0]!r:.100} came after close(): look whether it is closed before each yield, and drop what is queued"
        )

    def test_close_ends_the_wait(self, subject: Subject) -> None:
        """`close` ends a stream that another task reads, as its end or with `SourceClosed`."""

        async def check(services: FakeServices) -> bool:
            async with subject.opened(services) as source:
                reader = asyncio.create_task(_drain(source), name="reader")
                await services.clock.sleep_until(services.clock.monotonic_ns() + 50_000_000)
                await source.close()
                await asyncio.wait({reader}, timeout=PROMPT)
                ended = reader.done()
                reader.cancel()
                await asyncio.wait({reader}, timeout=PROMPT)
                if ended:
                    reader.result()
                return ended

        assert subject.run(check), (
            f"its reader still waits {PROMPT:g} s after close(): close() has to wake it, for example by closing what "
            "it reads from"
        )

    @pytest.mark.parametrize("way", ["native", "scope"])
    def test_cancellation_is_prompt(self, subject: Subject, way: str) -> None:
        """Cancelled anywhere in its start or stream, by its task or by a scope, it ends and leaves no task."""
        cancel = _natively if way == "native" else _by_scope

        async def check(services: FakeServices, turns: int) -> tuple[bool, Sequence[str]]:
            before = asyncio.all_tasks()

            async def consume() -> None:
                async with subject.opened(services) as source:
                    await read(source, self.rows)

            return await cancel(consume, turns), await new_tasks(before)

        for turns in TURNS:
            ended, left = subject.run(check, turns)
            assert ended, (
                f"cancelled after {turns} turns of the loop it does not end within {PROMPT:g} s: never catch "
                "CancelledError without raising it again, and do not wait in a finally block"
            )
            assert not left, (
                f"cancelled after {turns} turns of the loop it leaves tasks: {'; '.join(left)}: cancel them and wait "
                "for them in close() or in a finally block"
            )

    def test_sources_are_independent(self, subject: Subject) -> None:
        """Of two sources, closing one leaves the other as it was."""

        async def check(services: FakeServices) -> tuple[Sequence[StreamItem], Capabilities]:
            async with (
                subject.opened(services) as one,
                subject.opened(services) as other,
                aclosing(one.batches()) as first,
                aclosing(other.batches()) as second,
            ):
                items = await take(second, 1)
                await take(first, 1)
                await one.close()
                return items + await take(second, self.rows // 2), other.capabilities

        items, capabilities = subject.run(check)
        found = judge_stream(items, request=subject.request, capabilities=capabilities, tolerate=self.tolerate)
        assert not found, f"beside a second source the stream breaks rules:\n{summary(found)}"
        assert sum(isinstance(item, Batch) for item in items) > 1 or capabilities.pausable, (
            "a source ends when another one is closed: keep the state of each consumer in its own source"
        )

    def test_status_is_told_at_any_time(self, subject: Subject) -> None:
        """`status` returns a `SourceStatus` before the start, while it runs and after `close`."""

        async def check(services: FakeServices) -> list[object]:
            async with subject.made(services) as source:
                told: list[object] = [await source.status()]
                await source.start()
                await read(source, 1)
                told.append(await source.status())
                await source.close()
                told.append(await source.status())
            return told

        told = subject.run(check)
        assert all(isinstance(one, SourceStatus) for one in told), (
            f"status() returned {told}: return a market_data_pipeline.contracts.SourceStatus whatever happened before"
        )


async def rest(stream: AsyncGenerator[StreamItem, None]) -> list[StreamItem]:
    """Return what a closed source still yields, at most two items."""
    try:
        return await take(stream, 2)
    except SourceClosed:
        return []


async def _drain(source: TickSource) -> None:
    try:
        async with aclosing(source.batches()) as stream:
            async for _ in stream:
                await asyncio.sleep(0)
    except SourceClosed:
        return


async def _natively(work: Callable[[], Coroutine[Any, Any, None]], turns: int) -> bool:
    """Start a task, cancel it after so many turns of the loop, and return whether it ends."""
    task = asyncio.create_task(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=PROMPT)
    if task.done() and not task.cancelled():
        task.result()
    return task.done()


async def _by_scope(work: Callable[[], Coroutine[Any, Any, None]], turns: int) -> bool:
    """Start a task with a cancel scope, cancel that after so many turns of the loop, and return whether it ends."""
    scope = anyio.CancelScope()

    async def scoped() -> None:
        with scope:
            await work()

    task = asyncio.create_task(scoped())
    for _ in range(turns):
        await asyncio.sleep(0)
    scope.cancel()
    await asyncio.wait({task}, timeout=PROMPT)
    if task.done():
        task.result()
    return task.done()
