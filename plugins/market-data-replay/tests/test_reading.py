"""A blocking generator in a thread."""

import asyncio
from threading import Event

from market_data_replay.reading import InThread


def test_closing_waits_for_a_step_whose_task_was_cancelled():
    started, go, ended = Event(), Event(), Event()

    def numbers():
        try:
            started.set()
            go.wait()
            yield 1
        finally:
            ended.set()

    async def program():
        steps = InThread(numbers())
        step = asyncio.create_task(steps.next())
        await asyncio.to_thread(started.wait)
        step.cancel()
        await asyncio.wait({step})
        closing = asyncio.create_task(steps.aclose())
        await asyncio.sleep(0)
        assert not ended.is_set()
        go.set()
        await closing
        assert ended.is_set()
        assert await steps.next() is None

    asyncio.run(program())
