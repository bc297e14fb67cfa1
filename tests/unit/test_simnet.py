"""The network of simulations: order, delay, each fault, and nothing left behind (faults 3.2)."""

import asyncio
from collections import Counter
from itertools import pairwise

import anyio
import pytest

from market_data_pipeline.contracts.budget import SECOND_NS
from market_data_pipeline.testing import LinkFaults, SimNet, simulate

MS = 1_000_000
EVEN = LinkFaults(delay_sec=(0.01, 0.01))


def run(program, handler=None, *, seed=0, faults=EVEN, answer=None):
    """Run a program that gets the link to a host, which serves by a handler or answers."""

    async def main(loop):
        link = SimNet(loop, seed=seed).link("host")
        link.faults = faults
        async with anyio.create_task_group() as tasks:
            if handler is not None:
                tasks.start_soon(link.serve, handler)
            if answer is not None:
                tasks.start_soon(link.serve_requests, answer)
            await asyncio.sleep(0)
            result = await program(link, loop)
            tasks.cancel_scope.cancel()
        assert len(asyncio.all_tasks()) == 1
        return result

    return simulate(main, seed=seed)


async def echo(stream):
    async for message in stream:
        await stream.send(message)


async def ten(stream):
    for number in range(10):
        await stream.send(number)


async def read(stream):
    """Return what comes until the end or an error, and how it ends."""
    got = []
    try:
        while True:
            got.append(await stream.receive())
    except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
        return got, type(error).__name__


async def read_all(link, _loop):
    return await read(await link.connect())


def test_messages_arrive_in_order_each_after_a_delay_of_its_own():
    async def program(link, loop):
        stream, times = await link.connect(), []
        for number in range(50):
            assert await stream.receive() == number
            times.append(loop.monotonic_ns())
        return times

    async def fifty(stream):
        for number in range(50):
            await stream.send(number)
            await asyncio.sleep(0.001)

    for seed in range(20):
        times = run(program, fifty, seed=seed, faults=LinkFaults(delay_sec=(0.01, 0.05)))
        gaps = {later - earlier for earlier, later in pairwise(times)}
        assert len(gaps) > 5
        assert times[0] >= 20 * MS
        assert times[-1] <= 100 * MS + 60 * MS


def test_a_connection_takes_a_round_trip_and_a_request_two():
    async def program(link, loop):
        async with await link.connect():
            connected = loop.monotonic_ns()
        answer = await link.request("a")
        return connected, answer, loop.monotonic_ns()

    async def answer(message):
        return message.upper()

    connected, text, end = run(program, answer=answer)
    assert (connected, text, end) == (20 * MS, "A", 60 * MS)


def test_who_says_that_it_is_done_still_receives():
    async def program(link, _loop):
        async with await link.connect() as stream:
            await stream.send("question")
            await stream.send_eof()
            with pytest.raises(anyio.ClosedResourceError):
                await stream.send("more")
            return await read(stream)

    async def host(stream):
        await stream.send((await read(stream))[0])

    assert run(program, host) == ([["question"]], "EndOfStream")


def test_what_was_sent_before_a_close_arrives_and_what_is_sent_to_who_has_closed_breaks():
    ends = []

    async def program(link, _loop):
        stream = await link.connect()
        await stream.send("last")
        await stream.aclose()
        await stream.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()
        await asyncio.sleep(1)

    async def host(stream):
        ends.append(await read(stream))
        await stream.send("to nobody")
        await asyncio.sleep(0.1)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send("to nobody")

    run(program, host)
    assert ends == [(["last"], "EndOfStream")]


def test_an_abort_is_a_reset_for_the_other_end():
    ends = []

    async def program(link, _loop):
        stream = await link.connect()
        stream.abort()
        await asyncio.sleep(1)

    async def host(stream):
        ends.append(await read(stream))

    run(program, host)
    assert ends == [([], "BrokenResourceError")]


def test_who_waits_learns_that_its_own_end_was_closed():
    async def program(link, _loop):
        stream = await link.connect()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.aclose)
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()

    run(program, echo)


def test_who_is_cancelled_while_it_receives_has_taken_nothing():
    """G-2: the message arrives in the very turn of the loop in which the cancellation does."""

    async def program(link, loop):
        stream = await link.connect()
        first = asyncio.create_task(stream.receive())
        await loop.sleep_until(30 * MS)
        first.cancel()
        await asyncio.wait([first])
        if not first.cancelled():
            return "in time", first.result()
        return "cancelled", await stream.receive()

    async def host(stream):
        await asyncio.sleep(0.01)
        await stream.send("one")
        await anyio.sleep_forever()

    assert {run(program, host, seed=seed) for seed in range(30)} == {("in time", "one"), ("cancelled", "one")}


def test_nobody_serves_or_so_it_was_drawn():
    async def program(link, _loop):
        with pytest.raises(ConnectionRefusedError, match="host refuses"):
            await link.connect()
        return link.happened

    assert run(program) == {"refuse": 1}
    assert run(program, echo, faults=LinkFaults(refuse=1.0)) == {"refuse": 1}


def test_a_lost_message_is_missing_and_later_ones_come():
    for seed in range(20):
        got, end = run(read_all, ten, seed=seed, faults=LinkFaults(loss=0.3))
        assert end == "EndOfStream"
        assert got == sorted(got)
        if 9 in got and len(got) < 10:
            return
    pytest.fail("no message but the last was lost")


def test_a_reset_breaks_both_ends_in_the_place_of_a_message():
    ends = Counter()
    for seed in range(20):
        got, end = run(read_all, ten, seed=seed, faults=LinkFaults(delay_sec=(0.01, 0.02), reset=0.1))
        assert got == list(range(len(got)))
        ends[end] += 1
    assert min(ends["EndOfStream"], ends["BrokenResourceError"]) > 2


def test_a_stall_is_silence_from_a_message_on_in_one_direction():
    async def program(link, _loop):
        stream = await link.connect()
        got = []
        with anyio.move_on_after(10) as scope:
            while True:
                await stream.send("ping")
                got.append(await stream.receive())
        assert scope.cancelled_caught
        link.faults = EVEN
        await stream.send("again")
        with anyio.move_on_after(10):
            got.append(await stream.receive())
        return len(got), tuple(link.happened)

    seen = Counter(run(program, echo, seed=seed, faults=LinkFaults(stall=0.2))[1] for seed in range(20))
    assert set(seen) == {("stall out",), ("stall back",)}


def test_a_cut_link_is_silent_its_connections_never_recover_and_new_ones_do():
    async def program(link, _loop):
        old, got = await link.connect(), []
        await old.send("on its way")
        link.cut()
        with anyio.move_on_after(5):
            await link.connect()
        link.heal()
        await old.send("afterwards")
        with anyio.move_on_after(5) as scope:
            await old.receive()
        got.append(scope.cancelled_caught)
        async with await link.connect() as new:
            await new.send("hello")
            got.append(await new.receive())
        return got, link.happened

    assert run(program, echo) == ([True, "hello"], {"cut": 1})


def test_who_asks_gets_the_errors_of_the_host_and_of_the_network():
    async def program(link, _loop):
        with pytest.raises(ZeroDivisionError):
            await link.request(0)
        link.faults = LinkFaults(reset=1.0)
        with pytest.raises(ConnectionResetError, match="host has closed"):
            await link.request(1)

    async def answer(number):
        return 1 / number

    run(program, answer=answer)


def test_a_host_that_closes_without_an_answer_is_a_reset_to_who_asks():
    async def program(link, _loop):
        with pytest.raises(ConnectionResetError):
            await link.request(1)

    async def host(stream):
        await stream.receive()

    run(program, host)


def test_nobody_works_on_for_who_has_gone():
    ends = []

    async def program(link, loop):
        begin = loop.monotonic_ns()
        with anyio.move_on_after(1):
            await link.request("slow")
        await asyncio.sleep(1)
        return begin

    async def answer(_message):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            ends.append(asyncio.get_running_loop().monotonic_ns())
            raise

    begin = run(program, answer=answer)
    assert ends == [begin + SECOND_NS + 10 * MS]


def test_who_gives_up_connecting_leaves_the_host_a_broken_connection():
    ends = []

    async def program(link, _loop):
        with anyio.move_on_after(0.015):
            await link.connect()
        await asyncio.sleep(1)

    async def host(stream):
        ends.append(await read(stream))

    run(program, host)
    assert ends == [([], "BrokenResourceError")]


def test_one_seed_gives_the_same_again_and_links_do_not_move_each_other():
    async def main(loop, seed, other):
        net, times = SimNet(loop, seed=seed), []
        assert net.link("a") is net.link("a")
        for name in ("a", "b") if other else ("a",):
            net.link(name).faults = LinkFaults(delay_sec=(0.01, 1), refuse=0.3)
        for _ in range(10):
            if other:
                with pytest.raises(ConnectionRefusedError):
                    await net.link("b").connect()
            begin = loop.monotonic_ns()
            with pytest.raises(ConnectionRefusedError):
                await net.link("a").connect()
            times.append(loop.monotonic_ns() - begin)
        return times

    def times(seed, *, other=False):
        return simulate(lambda loop: main(loop, seed, other))

    assert times(1) == times(1) == pytest.approx(times(1, other=True), abs=1_000)
    assert times(1) != times(2)
