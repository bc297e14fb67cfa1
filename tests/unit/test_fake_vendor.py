"""The fake vendor: it catches each way to break a rule, and nobody who keeps them."""

import asyncio
from collections import Counter

import attrs
import pytest

from market_data_pipeline.contracts.budget import SECOND_NS, Concurrency, Gcra, MinGap, Window
from market_data_pipeline.errors import AuthenticationFailed, CapacityExceeded, ConfigurationError, RateLimited
from market_data_pipeline.testing import FakeVendor, simulate

MINUTE = Window(name="minute", limit=60, period_ns=60 * SECOND_NS)
CONTRACT = Window(name="contract", limit=6, period_ns=2 * SECOND_NS, per="contract")
EVEN = Gcra(name="even", limit=50, burst=5)
SAME = MinGap(name="same", gap_ns=15 * SECOND_NS, per="request")
OPEN = Concurrency(name="open", limit=3)
LINES = Concurrency(name="lines", limit=5, operations=())


def visit(program, *rules, **options):
    """Run a program that gets a vendor in virtual time, and return that vendor."""

    async def main(loop):
        vendor = FakeVendor(rules, loop, **options)
        await program(vendor, loop)
        return vendor

    return simulate(main)


async def send(vendor, count, *, every=0.0, answers=None, **call):
    """Send calls one after the other without waiting for the answers; count these by what they are."""

    async def one():
        try:
            await vendor.call("history", **call)
        except (RateLimited, AuthenticationFailed) as error:
            answer = type(error).__name__
        else:
            answer = "data"
        if answers is not None:
            answers[answer] += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(one())
            await asyncio.sleep(every)


@pytest.mark.parametrize(
    ("rule", "count", "every", "call"),
    [
        (MINUTE, 61, 0.9, {}),
        (MINUTE, 31, 1.8, {"cost": 2}),
        (CONTRACT, 7, 0.2, {"keys": {"contract": "AAPL"}}),
        (EVEN, 8, 0.0, {}),
        (EVEN, 100, 0.018, {}),
        (SAME, 2, 14.9, {"keys": {"request": "same"}}),
        (OPEN, 4, 0.0, {}),
    ],
)
def test_a_plain_loop_is_caught_whichever_rule_it_breaks(rule, count, every, call):
    """RC-2."""
    vendor = visit(
        lambda vendor, _: send(vendor, count, every=every, **call), rule, work_sec=(0.1, 0.2), latency_sec=(0.01, 0.01)
    )
    assert set(vendor.violations) == {rule.name}
    assert [arrival.broke for arrival in vendor.arrivals if arrival.broke] == [(rule.name,)] * vendor.violations.total()


@pytest.mark.parametrize(
    ("rule", "count", "every", "call"),
    [
        (MINUTE, 61, 1.01, {}),
        (MINUTE, 31, 2.01, {"cost": 2}),
        (CONTRACT, 7, 0.4, {"keys": {"contract": "AAPL"}}),
        (EVEN, 100, 0.0201, {}),
        (SAME, 2, 15.05, {"keys": {"request": "same"}}),
        (OPEN, 10, 0.25, {}),
    ],
)
def test_a_slower_loop_is_not(rule, count, every, call):
    vendor = visit(lambda vendor, _: send(vendor, count, every=every, **call), rule)
    assert not vendor.violations
    assert len(vendor.arrivals) == count


def test_calls_with_other_keys_or_operations_are_counted_apart():
    async def program(vendor, _):
        for name in ("AAPL", "MSFT"):
            await send(vendor, 6, keys={"contract": name})
        await vendor.call("chain")

    vendor = visit(program, attrs.evolve(CONTRACT, operations={"history"}))
    assert (len(vendor.arrivals), vendor.violations) == (13, {})


def test_a_window_may_count_calls_whatever_they_cost():
    rule = Window(name="calls", limit=2, period_ns=SECOND_NS, counts="calls")
    assert not visit(lambda vendor, _: send(vendor, 2, cost=100), rule).violations


def test_a_leaky_bucket_that_allows_60_a_minute_on_average_is_caught():
    """RC-2: it begins with a full bucket, and lets out 119 in the first minute."""

    async def program(vendor, loop):
        level, last = 0.0, loop.time()
        while loop.time() < 60:
            level, last = max(0.0, level - (loop.time() - last)), loop.time()
            if level + 1 <= 60:
                level += 1
                await send(vendor, 1)
            else:
                await asyncio.sleep(level + 1 - 60)

    vendor = visit(program, MINUTE, strikes=1_000, latency_sec=(0.0, 0.0), work_sec=(0.0, 0.0))
    assert len(vendor.arrivals) == 119
    assert vendor.violations["minute"] == 59


def test_what_is_held_is_limited_until_it_is_given_back():
    async def program(vendor, _):
        with vendor.hold("lines", 3), vendor.hold("lines", 2), pytest.raises(CapacityExceeded), vendor.hold("lines"):
            pass
        with vendor.hold("lines", 5):
            pass

    assert visit(program, LINES).violations == {"lines": 1}


def test_what_its_rules_do_not_know_is_an_error_of_the_test_and_says_which():
    async def program(vendor, _):
        with (
            pytest.raises(ConfigurationError, match="no rule of the vendor limits 'line': did you mean 'lines'"),
            vendor.hold("line"),
        ):
            pass
        with pytest.raises(ConfigurationError, match="rule 'contract': the call must say its contract in keys"):
            await vendor.call("history")

    assert not visit(program, LINES, CONTRACT).violations


def test_a_cancelled_call_is_no_longer_open():
    async def program(vendor, _):
        for _ in range(3):
            task = asyncio.create_task(vendor.call("history"))
            await asyncio.sleep(0.5)
            task.cancel()
        await send(vendor, 3)

    vendor = visit(program, OPEN, work_sec=(1.0, 1.0))
    assert (len(vendor.arrivals), vendor.violations) == (6, {})


def test_a_refusal_says_when_to_ask_again_where_that_can_be_said():
    hints = {}

    async def program(vendor, _):
        for rule in (MINUTE, EVEN, SAME, OPEN):
            vendor.change([rule])
            calls = [vendor.call("history", keys={"request": "same"}) for _ in range(100)]
            errors = await asyncio.gather(*calls, return_exceptions=True)
            hints[rule.name] = {error.retry_after for error in errors if isinstance(error, RateLimited)}
            await asyncio.sleep(100)

    visit(program, strikes=10_000)
    assert hints == {"minute": {60.0}, "even": {0.02}, "same": {15.0}, "open": {None}}


def test_who_breaks_the_rules_too_often_is_refused_everything_for_a_while():
    answers = Counter()

    async def program(vendor, _):
        await send(vendor, 63, answers=answers)
        assert vendor.bans == 1
        await asyncio.sleep(100)
        with pytest.raises(RateLimited) as refused:
            await vendor.call("chain")
        assert 790 < refused.value.retry_after < 900
        await asyncio.sleep(800)
        await vendor.call("chain")

    vendor = visit(program, MINUTE)
    assert answers == {"data": 60, "RateLimited": 3}
    assert [arrival.refused for arrival in vendor.arrivals[-2:]] == [True, False]


def test_who_breaks_the_rules_too_often_may_be_no_longer_known_for_ever():
    answers = Counter()

    async def program(vendor, _):
        await send(vendor, 63, answers=answers)
        await asyncio.sleep(10**6)
        await send(vendor, 1, answers=answers)

    visit(program, MINUTE, ban_sec=None)
    assert answers == {"data": 60, "RateLimited": 2, "AuthenticationFailed": 2}


def test_what_is_refused_counts_too():
    async def program(vendor, _):
        await send(vendor, 62)
        await asyncio.sleep(30)
        await send(vendor, 1)
        await asyncio.sleep(31)
        await send(vendor, 60)

    vendor = visit(program, MINUTE, strikes=100)
    assert vendor.violations["minute"] == 2 + 1 + 1


def test_a_moody_vendor_refuses_some_for_no_reason_and_that_is_no_violation():
    answers = Counter()
    vendor = visit(lambda vendor, _: send(vendor, 200, answers=answers), moody=0.3)
    assert 30 < answers["RateLimited"] < 90
    assert not vendor.violations


def test_one_seed_gives_the_same_again():
    def arrivals(seed):
        return visit(lambda vendor, _: send(vendor, 20), MINUTE, seed=seed, moody=0.5).arrivals

    assert arrivals(1) == arrivals(1)
    assert arrivals(1) != arrivals(2)


def test_other_rules_hold_from_now_on_and_what_a_window_counted_still_counts():
    async def program(vendor, _):
        await send(vendor, 10)
        vendor.change([Window(name="minute", limit=10, period_ns=60 * SECOND_NS)])
        await send(vendor, 1)
        for _ in range(3):
            vendor.change([EVEN])
            await send(vendor, 5)

    assert visit(program, MINUTE).violations == {"minute": 1}


def test_a_gap_outlives_a_change():
    async def program(vendor, _):
        await send(vendor, 1, keys={"request": "same"})
        vendor.change([MinGap(name="same", gap_ns=20 * SECOND_NS, per="request")])
        await asyncio.sleep(16)
        await send(vendor, 1, keys={"request": "same"})

    assert visit(program, SAME).violations == {"same": 1}
