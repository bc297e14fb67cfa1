"""Checks of what a source costs: what it leaves behind, holds in memory, and how long it keeps the loop."""

from __future__ import annotations

import asyncio
import tracemalloc
from contextlib import aclosing

from market_data_pipeline.testing.conformance.leaks import Resources, new_tasks
from market_data_pipeline.testing.conformance.steps import Steps, timed_tasks
from market_data_pipeline.testing.conformance.subject import Subject, read, take
from market_data_pipeline.testing.conformance.suite import SourceSuite
from market_data_pipeline.testing.judge import judge_stream, summary
from market_data_pipeline.testing.services import FakeServices

CYCLES = 3
STEP_NS = 250_000_000
"""So long may one step of a task take."""
PAUSE_S = 2.0
"""So long a slow consumer reads nothing."""
HELD_BYTES = 64 * 1024 * 1024
"""So much may wait for a slow consumer."""


class ResourceChecks(SourceSuite):
    """It gives back what it takes, and leaves the loop to others."""

    def test_leaves_no_task(self, subject: Subject) -> None:
        """When it is closed, no task of it is left."""

        async def check(services: FakeServices) -> list[str]:
            before = asyncio.all_tasks()
            async with subject.opened(services) as source:
                await read(source, 10)
            return await new_tasks(before)

        left = subject.run(check)
        assert not left, f"it leaves tasks: {'; '.join(left)}: cancel them and wait for them in close()"

    def test_leaves_no_thread(self, subject: Subject) -> None:
        """When its loop has ended, no thread of it is left."""
        self._use(subject)
        before = Resources.now()
        for _ in range(CYCLES):
            self._use(subject)
        left = before.new_threads()
        assert not left, f"it leaves threads: {', '.join(left)}: end and join them in close()"

    def test_leaves_no_descriptor(self, subject: Subject) -> None:
        """When it is closed, no file or socket of it is left open."""
        self._use(subject)
        before = Resources.now()
        for _ in range(CYCLES):
            self._use(subject)
        left = before.new_descriptors()
        assert not left, f"it leaves descriptors open: {', '.join(left)}: close each file and socket in close()"

    def test_slow_consumer_is_bounded(self, subject: Subject) -> None:
        """While nobody reads for two seconds, what waits stays below 64 MiB; then the stream goes on in order."""

        async def check(services: FakeServices) -> int:
            clock = services.clock
            async with subject.opened(services) as source, aclosing(source.batches()) as stream:
                items = await take(stream, 1)
                before, _ = tracemalloc.get_traced_memory()
                await clock.sleep_until(clock.monotonic_ns() + round(PAUSE_S * 1e9))
                after, _ = tracemalloc.get_traced_memory()
                items += await take(stream, self.rows)
                found = judge_stream(
                    items, request=subject.request, capabilities=source.capabilities, tolerate=self.tolerate
                )
                assert not found, f"behind a slow consumer the stream breaks rules:\n{summary(found)}"
                return after - before

        tracemalloc.start()
        try:
            held = subject.run(check)
        finally:
            tracemalloc.stop()
        assert held < HELD_BYTES, (
            f"{held:,} bytes more are held after {PAUSE_S:g} s without a reader: bound every queue, stop reading where "
            "the vendor waits, and say with a Gap what was dropped"
        )

    def test_leaves_the_loop_to_others(self, subject: Subject) -> None:
        """No step of its tasks takes 250 ms, in each of three runs: one alone may be the computer's fault."""

        async def check(services: FakeServices) -> None:
            async with subject.opened(services) as source:
                await read(source, self.rows)

        async def timed(services: FakeServices) -> Steps:
            return await timed_tasks(check(services))

        runs = (subject.run(timed) for _ in range(CYCLES - 1))
        steps = next((steps for steps in runs if steps.longest_ns < STEP_NS), None) or subject.run(timed)
        assert steps.longest_ns < STEP_NS, (
            f"a step of {steps.name} kept the loop for {steps.longest_ns / 1e9:.2f} s: do what blocks or computes long "
            "in a thread (anyio.to_thread.run_sync)"
        )

    def _use(self, subject: Subject) -> None:
        async def check(services: FakeServices) -> None:
            async with subject.opened(services) as source:
                await read(source, 10)

        subject.run(check)
