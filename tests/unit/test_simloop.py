"""The simulation loop: virtual time, a schedule from a seed, deadlocks found (faults 3.2)."""

import asyncio
import inspect
import os
import subprocess
import sys
import threading

import anyio
import anyio.to_thread
import pytest
from anyio._backends._asyncio import WorkerThread  # noqa: PLC2701

from market_data_pipeline.contracts import Clock
from market_data_pipeline.testing import DeadlockError, LivelockError, SimLoop, simulate
from market_data_pipeline.testing.simloop import START_NS

SECOND = 1_000_000_000

TRACE = """
import anyio
from anyio.to_thread import run_sync
from market_data_pipeline.testing import simulate

async def wait(seconds):
    with anyio.move_on_after(seconds):
        await anyio.sleep_forever()
    await run_sync(sum, range(seconds))

async def program(loop):
    with anyio.move_on_after(2.5):
        async with anyio.create_task_group() as group:
            for seconds in (1, 2, 2, 2, 3, 3, 3, 3, 3):
                group.start_soon(wait, seconds)
    return loop.trace

print([simulate(program, seed=seed) for seed in range(20)])
"""


async def race(_loop):
    order = []

    async def runner(name):
        await asyncio.sleep(1)
        order.append(name)

    await asyncio.gather(*map(runner, "abcd"))
    return "".join(order)


def test_a_day_of_timers_takes_no_time():
    async def program(loop):
        for _ in range(24 * 60):
            await asyncio.sleep(60)
        return loop.monotonic_ns()

    assert simulate(program) == 24 * 3600 * SECOND


def test_time_stands_while_something_can_run():
    async def program(loop):
        for _ in range(1000):
            await asyncio.sleep(0)
        return loop.monotonic_ns()

    assert simulate(program) == 0


def test_time_moves_by_at_least_a_tenth_of_a_microsecond():
    async def program(loop):
        for _ in range(10):
            await asyncio.sleep(1e-17)  # at most real times now + 1e-17 is now, and such a loop spins
        return loop.monotonic_ns()

    assert simulate(program) >= 1000


def test_the_loop_is_a_clock_whose_two_times_move_together():
    async def program(loop: Clock):
        await loop.sleep_until(3 * SECOND + 7)
        return loop.monotonic_ns(), loop.time_ns()

    assert simulate(program) == (3 * SECOND + 7, START_NS + 3 * SECOND + 7)


def test_to_sleep_until_a_time_that_is_over_lets_others_run():
    async def program(loop):
        other = asyncio.create_task(asyncio.to_thread(int))
        for _ in range(9):
            await loop.sleep_until(-1)
        return other.done(), loop.monotonic_ns()

    assert simulate(program) == (True, 0)


def test_seeds_find_every_order_of_four_tasks():
    assert len({simulate(race, seed=seed) for seed in range(500)}) == 24


def test_the_same_seed_gives_the_same_schedule():
    async def program(loop):
        return await race(loop), loop.trace

    runs = [simulate(program, seed=seed) for seed in range(50)]
    assert runs == [simulate(program, seed=seed) for seed in range(50)]
    assert len({trace for _, trace in runs}) > 25


@pytest.mark.parametrize("pause", [0, 1e-8])
def test_a_program_that_does_not_let_the_time_move_on_is_an_error_that_says_where_it_is(pause):
    async def polls(loop):
        while loop.time() < 1:  # noqa: ASYNC110 (that is the mistake)
            await asyncio.sleep(pause)

    with pytest.raises(LivelockError, match=r"100000 turns, and the time does not move on at 0\.0.*1 tasks.*\n.*polls"):
        simulate(polls)


def test_what_the_garbage_collector_has_left_of_generators_does_not_show_in_the_trace():
    async def numbers():
        yield 1

    kept = []

    async def program(loop, keep):
        generator = numbers()
        [_ async for _ in generator]
        kept.extend([generator] * keep)
        return loop

    assert simulate(lambda loop: program(loop, 0)).trace == simulate(lambda loop: program(loop, 1)).trace


def test_the_same_seed_gives_the_same_trace_in_another_process():
    """Sets of tasks and cancel scopes have no order that two processes share; the loop must not show it."""
    traces = {
        subprocess.run(
            [sys.executable, "-c", f"padding = [bytearray(n) for n in range({padding})]{TRACE}"],
            env=os.environ | {"PYTHONHASHSEED": str(padding)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for padding in (1, 500, 5000)
    }
    assert len(traces) == 1


def test_a_deadlock_is_an_error_that_shows_where_each_task_waits():
    async def lonely():
        await asyncio.Event().wait()

    async def program(_loop):
        async with anyio.create_task_group() as group:
            group.start_soon(lonely, name="reader")
            await anyio.sleep(5)

    with pytest.raises(DeadlockError, match=r"(?s)at 5\.0+ s, 2 tasks.*reader waits in .*lonely:\d+ > Event\.wait"):
        simulate(program)


def test_tasks_clean_up_after_a_deadlock():
    cleaned = []

    async def program(_loop):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            cleaned.append(True)

    with pytest.raises(DeadlockError):
        simulate(program)
    assert cleaned == [True]


def test_a_worker_thread_takes_no_virtual_time():
    """Loops with virtual time usually jump while a thread works, and every timeout around it strikes."""
    begin = threading.Event()

    async def program(loop):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 3600)
            with anyio.fail_after(1):
                threading.Timer(0.02, begin.set).start()
                assert await anyio.to_thread.run_sync(begin.wait)
            now = loop.monotonic_ns()
            group.cancel_scope.cancel()
        return now

    assert simulate(program) == 0


def test_many_worker_threads_report_in_an_order_of_the_seed():
    async def program(loop):
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(anyio.to_thread.run_sync, sum, range(number * 10_000))
        return loop.trace

    assert len({simulate(program, seed=3) for _ in range(10)}) == 1


@pytest.mark.parametrize(
    "offload", [asyncio.to_thread, lambda *call: asyncio.get_running_loop().run_in_executor(None, *call)]
)
def test_executor_calls_run_in_the_loop_thread(offload):
    async def program(loop):
        assert await offload(threading.get_ident) == threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await offload(divmod, 1, 0)
        return loop.monotonic_ns()

    assert simulate(program) == 0


def test_an_executor_call_that_is_cancelled_first_is_not_made():
    async def program(loop):
        calls = []
        loop.run_in_executor(None, calls.append, 1).cancel()
        await asyncio.sleep(1)
        return calls

    assert simulate(program) == []


def test_anyio_runs_on_it():
    async def program():
        await anyio.sleep(10)
        return anyio.current_time()

    assert anyio.run(program, backend_options={"loop_factory": SimLoop}) == 10


def test_a_timer_that_was_cancelled_does_not_move_the_time():
    async def program(loop):
        loop.call_later(5, print).cancel()
        await asyncio.sleep(1)
        return loop.monotonic_ns()

    assert simulate(program) == SECOND


def test_a_callback_that_was_cancelled_in_its_own_turn_does_not_run():
    async def program(loop):
        ran = []
        handles = {}

        def run(name, other):
            ran.append(name)
            handles[other].cancel()

        handles |= {"a": loop.call_soon(run, "a", "b"), "b": loop.call_soon(run, "b", "a")}
        await asyncio.sleep(1)
        return ran

    assert {tuple(simulate(program, seed=seed)) for seed in range(20)} == {("a",), ("b",)}


def test_the_private_parts_it_stands_on_are_those_of_this_python():
    """On a new Python or anyio: read `BaseEventLoop._run_once` and `WorkerThread` again, then add the version here."""
    assert sys.version_info[:2] in {(3, 11), (3, 12), (3, 13), (3, 14)}
    source = inspect.getsource(asyncio.BaseEventLoop)
    for part in (
        "self._ready.append(",
        "heapq.heappush(self._scheduled, timer)",
        "self._run_once()",
        "self._stopping",
        "self._write_to_self()",
    ):
        assert part in source
    assert "self._run_once()" not in inspect.getsource(asyncio.BaseEventLoop._run_once)
    assert {"_callback", "_run", "cancelled"} <= set(dir(asyncio.Handle))
    worker = inspect.getsource(WorkerThread)
    for part in ("self.loop = ", "self.stopping", "self.queue.task_done()", "self.loop.call_soon_threadsafe("):
        assert part in worker
    assert worker.index("self.loop.call_soon_threadsafe(") < worker.index("self.queue.task_done()")


def test_importing_it_needs_no_test_framework():
    script = "import sys, market_data_pipeline.testing; print({'pytest', 'hypothesis'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_sleep_without_an_end_is_a_deadlock_too():
    with pytest.raises(DeadlockError, match="sleep_forever"):
        simulate(lambda _: anyio.sleep_forever())
