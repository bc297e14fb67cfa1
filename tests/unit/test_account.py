"""One credential at one vendor: what goes out, what a call's end teaches, and what is held."""

import asyncio
import random
from contextlib import suppress

import anyio
import pytest

from market_data_pipeline.breaking import BreakerPolicy
from market_data_pipeline.contracts import SECOND_NS, Concurrency, Gcra, Window
from market_data_pipeline.errors import (
    AuthenticationFailed,
    CapacityExceeded,
    CircuitBreakerOpen,
    ConnectionLost,
    DeadlineExceeded,
    MalformedMessage,
    PluginContractError,
    RateLimited,
)
from market_data_pipeline.pacing import MemoryStore
from market_data_pipeline.source.account import MAX_OPERATIONS, AccountPolicy, VendorAccount, rate_limited
from market_data_pipeline.source.tenant import working_for
from market_data_pipeline.testing import simulate

ONE_A_MINUTE = Window(name="minute", limit=1, period_ns=60 * SECOND_NS)
TWO = BreakerPolicy(threshold=2, jitter=0.0)


class NoJitter(random.Random):
    def random(self):
        return 0.0


def account(loop, *rules, **policy):
    return VendorAccount(
        "acme",
        rules=rules,
        policy=AccountPolicy(**{"breaker": TWO, "adaptive": False, **policy}),
        store=MemoryStore(slack_ns=0),
        clock=loop,
        chance=NoJitter(),
    )


async def ask(vendor, error=None, *, operation="history", seconds=0, **more):
    async with vendor.call(operation, **more):
        await asyncio.sleep(seconds)
        if error:
            raise error


async def fail(vendor, error, times=1, **more):
    for _ in range(times):
        with pytest.raises(type(error)):
            await ask(vendor, error, **more)


def test_an_open_breaker_refuses_before_anybody_waits_or_anything_is_taken():
    async def main(loop):
        vendor = account(loop, Window(name="three", limit=3, period_ns=60 * SECOND_NS))
        await fail(vendor, ConnectionLost("cut"), times=2)
        begin = loop.time()
        for _ in range(5):
            with pytest.raises(CircuitBreakerOpen, match="acme/history"):
                await ask(vendor)
        await ask(vendor, operation="chain")  # the third of the minute is still there
        return loop.time() - begin, vendor.status().in_flight

    assert simulate(main) == (0, 0)


def test_an_open_breaker_refuses_at_once_though_the_budget_is_used_up():
    """CB-6: nobody waits a minute to be told so."""

    async def main(loop):
        vendor = account(loop, Window(name="two", limit=2, period_ns=60 * SECOND_NS))
        await fail(vendor, ConnectionLost("cut"), times=2)
        begin = loop.time()
        with pytest.raises(CircuitBreakerOpen):
            await ask(vendor)
        return loop.time() - begin

    assert simulate(main) == 0


def test_what_the_breaker_refuses_after_the_wait_is_given_back():
    async def main(loop):
        vendor = account(
            loop,
            ONE_A_MINUTE,
            breaker=BreakerPolicy(threshold=1, base_wait_ns=300 * SECOND_NS, max_wait_ns=300 * SECOND_NS, jitter=0.0),
        )
        await ask(vendor)
        first = loop.time()

        async def waits():
            with pytest.raises(CircuitBreakerOpen):
                await ask(vendor)
            return loop.time() - first

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(waits())
            await asyncio.sleep(1)
            vendor.breaker("history").acquire().fail("it broke meanwhile")
        begin = loop.time()
        await ask(vendor, operation="chain")  # its place in the minute is free again
        return waiting.result(), loop.time() - begin

    assert simulate(main) == (pytest.approx(60), 0)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ConnectionLost("cut"), "open"),
        (KeyError("theirs"), "open"),
        (RateLimited("slow down"), "closed"),
        (MalformedMessage("what"), "closed"),
        (AuthenticationFailed("no"), "forced_open"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else each,
)
def test_the_end_of_a_call_is_the_vote(error, state):
    """CB-11."""

    async def main(loop):
        vendor = account(loop, cooldown_ns=1)
        for _ in range(2):
            with pytest.raises((type(error), CircuitBreakerOpen)):
                await ask(vendor, error)
        return vendor.breaker("history").state

    assert simulate(main) == state


def test_a_refused_credential_lets_nothing_out_until_it_is_cleared():
    """CB-11."""

    async def main(loop):
        vendor = account(loop)
        await fail(vendor, AuthenticationFailed("no"))
        await asyncio.sleep(100_000)
        with pytest.raises(CircuitBreakerOpen) as refused:
            await ask(vendor)
        vendor.breaker("history").clear()
        await ask(vendor)
        return refused.value.retry_after

    assert simulate(main) is None


def rests(vendor, operation="history"):
    return round(vendor.limiter.cooldown_ns(scope=operation) / 1e9, 3)


def test_a_cooldown_lasts_as_long_as_the_vendor_says():
    """RC-10."""

    async def main(loop):
        vendor = account(loop)
        await fail(vendor, RateLimited("slow down", retry_after=30))
        begin = loop.time()
        await ask(vendor, operation="chain")
        assert loop.time() == begin
        await ask(vendor)
        return loop.time() - begin

    assert simulate(main) == pytest.approx(30, abs=1e-6)


def test_a_silent_vendor_gets_twice_the_time_after_each_refusal_up_to_15_minutes_until_a_success():
    """RC-10."""

    async def main(loop):
        vendor, seen = account(loop), []
        for _ in range(9):
            await fail(vendor, RateLimited("slow down"))
            seen.append(rests(vendor))
            await asyncio.sleep(1000)
        await ask(vendor)
        await asyncio.sleep(1)
        await fail(vendor, RateLimited("slow down"))
        return [*seen, rests(vendor)]

    assert simulate(main) == [5, 10, 20, 40, 80, 160, 320, 640, 900, 5]


def test_what_a_vendor_asks_for_is_capped_at_15_minutes_and_jitter_only_lengthens_below_that():
    """RC-10."""

    async def main(loop):
        vendor = account(loop)
        await fail(vendor, RateLimited("slow down", retry_after=86_400))
        long = rests(vendor)
        jittered = VendorAccount("acme", clock=loop, chance=random.Random(1))
        lengths = []
        for n in range(20):
            await fail(jittered, RateLimited("slow down", retry_after=10), operation=f"op{n}")
            lengths.append(rests(jittered, f"op{n}"))
        return long, lengths

    long, lengths = simulate(main)
    assert long == 900
    assert 10 <= min(lengths) < max(lengths) <= 11


@pytest.mark.parametrize(
    ("asked", "rest"),
    [(float("inf"), 900), (1e300, 900), (float("nan"), 5), (-30, 5), (0, 5), ("30", 5)],
    ids=repr,
)
def test_a_vendor_that_asks_for_what_is_no_time_leaves_nothing_held(asked, rest):
    """RC-10, CB-8: it rests for the longest time or for its own, and the call gets the vendor's error."""

    async def main(loop):
        vendor = account(loop, Concurrency(name="open", limit=1))
        await fail(vendor, RateLimited("slow down", retry_after=asked))
        rested = rests(vendor)
        vendor.limiter.warm(scope="history")
        await ask(vendor)
        return rested, vendor.breaker("history").status().in_flight

    assert simulate(main) == (rest, 0)


def test_of_overlapping_cooldowns_the_later_end_counts_and_requests_that_went_out_together_are_one_refusal():
    """RC-10."""

    async def main(loop):
        vendor = account(loop)

        async def one(retry_after):
            await fail(vendor, RateLimited("slow down", retry_after=retry_after), seconds=1)

        async with asyncio.TaskGroup() as tasks:
            for retry_after in (20, 60, 3):
                tasks.create_task(one(retry_after))
        first = rests(vendor)
        await asyncio.sleep(100)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(one(None))
        return first, rests(vendor)

    assert simulate(main) == (60, 10)  # the second refusal in a row, not the sixth


def test_a_cooldown_is_logged_once_for_requests_that_went_out_together(caplog):
    """RC-10: who reads the log learns why nothing goes out."""

    async def main(loop):
        vendor = account(loop)
        for _ in range(2):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(3):
                    tasks.create_task(fail(vendor, RateLimited("429 Too Many"), seconds=1))
            await asyncio.sleep(100)

    simulate(main)
    assert caplog.messages == [
        f"acme/history rests for {seconds} s at least, since the vendor refused a call for its rate: 429 Too Many"
        for seconds in ("5.0", "10.0")
    ]


@pytest.mark.parametrize("error", [None, RateLimited("slow down")], ids=["succeeds", "refused"])
def test_the_end_of_an_earlier_call_neither_ends_nor_lengthens_a_row_of_refusals(error):
    """RC-10."""

    async def main(loop):
        vendor = account(loop)
        with suppress(RateLimited):
            async with vendor.call("history"):
                await asyncio.sleep(1)
                await fail(vendor, RateLimited("slow down"))
                if error:
                    raise error
        await asyncio.sleep(100)
        await fail(vendor, RateLimited("slow down"))
        return rests(vendor)

    assert simulate(main) == 10


def test_a_refusal_shrinks_the_rate_unless_that_is_turned_off():
    """RC-10."""

    async def main(loop, *, adaptive):
        vendor = account(loop, Gcra(name="even", limit=10, burst=10), adaptive=adaptive)
        for _ in range(40):
            await ask(vendor)
        await fail(vendor, RateLimited("slow down", retry_after=1))
        await asyncio.sleep(2)
        begin = loop.time()
        for _ in range(20):
            await ask(vendor)
        return loop.time() - begin

    assert simulate(lambda loop: main(loop, adaptive=True)) > 1.3 * simulate(lambda loop: main(loop, adaptive=False))


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (ConnectionLost("cut"), None),
        (ExceptionGroup("two", [ConnectionLost("cut"), KeyError("x")]), None),
        (
            ExceptionGroup("two", [RateLimited("a"), ExceptionGroup("in", [RateLimited("b", retry_after=4.0)])]),
            4.0,
        ),
    ],
)
def test_a_refusal_is_found_in_a_group_of_errors(error, longest):
    found = rate_limited(error)
    assert (found and found.retry_after) == longest


def test_who_is_cancelled_while_it_waits_takes_nothing():
    """RC-9."""

    async def main(loop):
        vendor = account(loop, ONE_A_MINUTE)
        await ask(vendor)
        with anyio.move_on_after(30):
            await ask(vendor)
        assert vendor.status().in_flight == 0
        begin = loop.time()
        await ask(vendor)
        return loop.time() - begin

    assert simulate(main) == pytest.approx(30, abs=1e-6)


def test_a_call_that_is_cancelled_is_no_vote_and_gives_back_what_it_held():
    """CB-8, RC-9."""

    async def main(loop):
        vendor = account(loop, Concurrency(name="open", limit=1), breaker=BreakerPolicy(threshold=1))
        with anyio.move_on_after(1):
            async with vendor.call("history"):
                await asyncio.sleep(5)
        begin = loop.time()
        await ask(vendor)
        (breaker,) = vendor.status().breakers
        return loop.time() - begin, breaker.state, breaker.cancelled, breaker.failed, breaker.succeeded

    assert simulate(main) == (0, "closed", 1, 0, 1)


def test_retries_above_their_share_are_refused_and_first_attempts_are_not():
    """RC-11."""

    async def main(loop):
        vendor = account(loop)

        async def refused(attempt, times):
            calls = [ask(vendor, seconds=1, attempt=attempt) for _ in range(times)]
            return [end.rule for end in await asyncio.gather(*calls, return_exceptions=True) if end is not None]

        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(refused(1, 20))
            await asyncio.sleep(0.5)
            again = await refused(2, 8)
        return first.result(), again, await refused(3, 4)

    assert simulate(main) == ([], ["retries"] * 3, ["retries"])  # five of 25 may be, and three of none


def test_a_deadline_that_cannot_be_kept_fails_at_once():
    """RC-8."""

    async def main(loop):
        vendor = account(loop, ONE_A_MINUTE)
        await ask(vendor)
        begin = loop.time()
        with pytest.raises(DeadlineExceeded, match="minute"):
            await ask(vendor, deadline=loop.monotonic_ns() + 30 * SECOND_NS)
        assert loop.time() == begin
        await ask(vendor, deadline=loop.monotonic_ns() + 61 * SECOND_NS)
        return loop.time() - begin

    assert simulate(main) == pytest.approx(60, abs=1e-6)


def test_tenants_share_by_their_weights():
    """RC-7."""

    async def main(loop):
        vendor = account(loop, Gcra(name="even", limit=1), weights={"big": 3.0})
        done = []

        async def one(name):
            with working_for(name):
                await ask(vendor)
            done.append(name)

        async with asyncio.TaskGroup() as tasks:
            for name in ["big"] * 60 + ["small"] * 60:
                tasks.create_task(one(name))
        return done[:40].count("big")

    assert simulate(main) == pytest.approx(30, abs=1)


def test_what_is_held_is_refused_at_once_waited_for_with_a_deadline_and_free_when_its_holder_is_cancelled():
    async def main(loop):
        vendor = account(loop, Concurrency(name="lines", limit=2, operations=()))
        times = []
        with anyio.move_on_after(10):
            async with vendor.lease("lines", 2):
                with pytest.raises(CapacityExceeded, match="acme: 1 more of lines are not free; release some"):
                    async with vendor.lease("lines"):
                        pass
                with pytest.raises(DeadlineExceeded):
                    async with vendor.lease("lines", deadline=loop.monotonic_ns() + 4 * SECOND_NS):
                        pass
                times.append(round(loop.time(), 6))
                await asyncio.sleep(50)
        async with vendor.lease("lines", 2):
            times.append(round(loop.time(), 6))
        return times[1] - times[0]

    assert simulate(main) == pytest.approx(6)


def test_a_lease_is_granted_when_another_one_ends():
    async def main(loop):
        vendor = account(loop, Concurrency(name="lines", limit=1, operations=()))

        async def hold():
            async with vendor.lease("lines"):
                await asyncio.sleep(3)

        begin = loop.time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hold())
            await asyncio.sleep(1)
            async with vendor.lease("lines", deadline=loop.monotonic_ns() + 10 * SECOND_NS):
                return loop.time() - begin

    assert simulate(main) == pytest.approx(3)


def test_an_operation_without_a_breaker_is_never_refused():
    async def main(loop):
        vendor = account(loop, operations={"chain": None})
        await fail(vendor, ConnectionLost("cut"), times=20, operation="chain")
        await ask(vendor, operation="history")
        return [breaker.operation for breaker in vendor.breakers()]

    assert simulate(main) == ["history"]


def test_what_an_operation_is_about_is_no_operation():
    async def main(loop):
        vendor = account(loop, breaker=None)
        for n in range(MAX_OPERATIONS):
            vendor.breaker(f"history-{n}")
        with pytest.raises(PluginContractError, match="say in keys what it is about"):
            await ask(vendor, operation="one-more")

    simulate(main)


def test_a_look_says_who_waits_and_how_the_breakers_are():
    async def main(loop):
        vendor = account(loop, ONE_A_MINUTE)
        await ask(vendor)
        with anyio.move_on_after(5):
            async with anyio.create_task_group() as tasks:
                with working_for("research"):
                    tasks.start_soon(ask, vendor)
                await asyncio.sleep(1)
                status = vendor.status()
                (wait,) = status.waits
                tasks.cancel_scope.cancel()
        return (
            status.name,
            status.in_flight,
            wait.rule,
            wait.tenant,
            wait.left_ns // SECOND_NS,
            status.breakers[0].calls,
        )

    assert simulate(main) == ("acme", 1, "minute", "research", 59, 1)
