"""The circuit breaker, one guarantee at a time (CB-1 to CB-14, G-6)."""

import asyncio
import inspect
import random
from contextlib import nullcontext
from itertools import pairwise

import attrs
import pytest

from market_data_pipeline import breaking, errors
from market_data_pipeline.breaking import BreakerPolicy, CircuitBreaker, classify
from market_data_pipeline.breaking.permit import Permit
from market_data_pipeline.errors import (
    AuthenticationFailed,
    CircuitBreakerOpen,
    ConfigurationError,
    ConnectionLost,
    RateLimited,
    ServerError,
    UnknownSymbol,
)

SECOND = 1_000_000_000
FIXED = BreakerPolicy(jitter=0.0)


class HandClock:
    """A clock that stands still; `wall` is never to be asked."""

    def __init__(self, now=0):
        self.now = now

    def monotonic_ns(self):
        return self.now

    def time_ns(self):
        raise AssertionError("the wall clock is for data")

    async def sleep_until(self, monotonic_ns):
        raise AssertionError("a breaker does not sleep")

    def advance(self, seconds):
        self.now += round(seconds * SECOND)


class Told(list):
    """A listener: it keeps the events, and what kinds there were."""

    __call__ = list.append

    @property
    def kinds(self):
        return [event.kind for event in self]


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def make(clock):
    def make(policy=FIXED, **options):
        return CircuitBreaker(
            policy=policy,
            provider="acme",
            operation="history",
            **{"clock": clock, "random": random.Random(7), **options},
        )

    return make


def fail(breaker, times=1, reason="boom", **options):
    for _ in range(times):
        breaker.acquire().fail(reason, **options)


def succeed(breaker, times=1):
    for _ in range(times):
        breaker.acquire().succeed()


def refused(breaker):
    with pytest.raises(CircuitBreakerOpen) as caught:
        breaker.acquire()
    return caught.value


def half_open(make, clock, policy=FIXED, **options):
    """A breaker whose first wait is over, and which no call has met since."""
    breaker = make(policy, **options)
    fail(breaker, policy.threshold)
    clock.advance(5)
    return breaker


# --- CB-1 ---


def test_a_new_breaker_is_closed_and_lets_calls_through(make):
    """CB-1."""
    breaker = make()
    succeed(breaker, 3)
    assert (breaker.state, breaker.retry_after_ns, breaker.is_open()) == ("closed", 0, False)


def test_an_operator_can_hold_it_open_and_says_why(make, clock):
    """CB-1: the wait does not end by itself."""
    breaker = make()
    breaker.force_open("the vendor moves house")
    clock.advance(1e6)
    error = refused(breaker)
    assert (error.retry_after, breaker.state, breaker.retry_after_ns) == (None, "forced_open", None)
    assert "forced open: the vendor moves house; reset it" in str(error)


def test_what_an_operator_holds_open_until_a_time_is_probed_from_then_on(make, clock):
    """CB-1: it is not trusted at once, so an outage that was announced too short does no harm."""
    breaker = make()
    breaker.force_open("maintenance", until_ns=10 * SECOND)
    clock.advance(9.999_999_999)
    assert refused(breaker).retry_after == pytest.approx(1e-9)
    clock.advance(1e-9)
    assert (breaker.state, breaker.retry_after_ns) == ("half_open", 0)
    fail(breaker)
    assert (breaker.state, breaker.status().attempt) == ("open", 1)


def test_a_disabled_breaker_counts_and_never_refuses(make, clock):
    """CB-1: not even when the credentials are refused."""
    breaker = make()
    breaker.disable("we know")
    fail(breaker, 21)
    breaker.acquire().force("bad key")
    clock.advance(1e6)
    succeed(breaker)
    status = breaker.status()
    assert (status.state, status.failed, status.succeeded, status.rejected) == ("disabled", 22, 1, 0)
    assert status.reason == "we know"
    assert (status.retry_after_ns, status.in_flight) == (0, 0)


def test_disabling_ends_when_it_was_said_to(make, clock):
    """CB-1: what was counted meanwhile does not open it."""
    breaker = make()
    breaker.disable("we know", until_ns=10 * SECOND)
    fail(breaker, 9)
    clock.advance(9)
    assert (breaker.state, breaker.retry_after_ns) == ("disabled", 0)
    clock.advance(1)
    assert breaker.state == "closed"
    fail(breaker, 4)
    assert (breaker.state, breaker.status().reason) == ("closed", "disabling it has expired")
    fail(breaker)
    assert breaker.state == "open"


@pytest.mark.parametrize("before", ["closed", "open", "half_open", "forced_open", "disabled"])
def test_clearing_closes_it_from_every_state_and_forgets(make, clock, before):
    """CB-1: the window and the failures in a row are empty, and it is another generation."""
    breaker = make()
    fail(breaker, 4 if before == "closed" else 5)
    clock.advance(5 if before == "half_open" else 0)
    if before == "half_open":
        breaker.acquire()
    if before == "forced_open":
        breaker.force_open("stop")
    if before == "disabled":
        breaker.disable("go on")
    assert breaker.state == before
    generation = breaker.status().generation
    breaker.clear()
    status = breaker.status()
    assert (status.state, status.calls, status.consecutive_failures, status.attempt) == ("closed", 0, 0, 0)
    assert (status.generation, status.in_flight) == (generation + 1, 0)
    fail(breaker, 4)
    assert breaker.state == "closed"


# --- CB-2 ---


def test_an_outcome_counts_for_sixty_buckets_of_a_second(make, clock):
    """CB-2: it is forgotten in whole seconds, at the latest after a minute."""
    breaker = make()
    clock.advance(0.999_999_999)
    fail(breaker)
    clock.advance(59)
    assert breaker.status().calls == 1
    clock.advance(1e-9)
    assert breaker.status().calls == 0


def test_after_idling_longer_than_the_window_it_is_empty(make, clock):
    """CB-2: also as the next call counts it, and at once, however long that was."""
    breaker = make()
    fail(breaker, 3)
    succeed(breaker, 4)
    clock.advance(1e15)
    assert (breaker.status().calls, breaker.status().failures, breaker.status().failure_rate) == (0, 0, 0.0)
    fail(breaker)
    assert (breaker.status().calls, breaker.status().failures, breaker.status().failure_rate) == (1, 1, 1.0)


def test_the_window_slides_by_one_second(make, clock):
    """CB-2: each second takes the outcomes of the one that is a minute older along, in the ring's second round too."""
    breaker = make(attrs.evolve(FIXED, threshold=10**6, failure_rate=None))
    expected = []
    for second in range(200):
        succeed(breaker, second % 3)
        fail(breaker, second % 2)
        expected.append((second % 3 + second % 2, second % 2))
        status = breaker.status()
        lately = expected[-60:]
        assert (status.calls, status.failures) == tuple(map(sum, zip(*lately, strict=True)))
        clock.advance(1)


def test_a_window_of_another_length_has_as_many_buckets(make, clock):
    """CB-2: a width that is no whole number is rounded up, so that nothing is forgotten too early."""
    breaker = make(attrs.evolve(FIXED, window_ns=601))
    fail(breaker)
    clock.now = 60 * 11 - 1
    assert breaker.status().calls == 1
    clock.now += 1
    assert breaker.status().calls == 0


def test_successes_that_are_counted_by_the_permit_are_in_the_window(make, clock):
    """CB-2: and they are forgotten in time as the others are."""
    breaker = make()
    succeed(breaker)
    for _ in range(7):
        breaker.acquire().succeed(clock.now)
    assert (breaker.status().calls, breaker.status().succeeded, breaker.status().in_flight) == (8, 8, 0)
    clock.advance(1)
    breaker.acquire().succeed(clock.now)
    assert (breaker.status().calls, breaker.status().succeeded) == (9, 9)
    clock.advance(58.5)
    fail(breaker)
    assert (breaker.status().calls, breaker.status().failures) == (10, 1)
    clock.advance(0.5)
    assert (breaker.status().calls, breaker.status().failures) == (2, 1)


@pytest.mark.parametrize("behind", [0.5, 97])
def test_a_time_at_hand_that_is_behind_counts_as_the_newest(make, clock, behind):
    """CB-2: the roll-over is monotonic, whatever callers hand over."""
    breaker = make()
    clock.advance(100)
    succeed(breaker)
    breaker.acquire().fail(now_ns=clock.now - int(behind * SECOND))
    assert (breaker.status().calls, breaker.status().failures) == (2, 1)


# --- CB-3 ---


def test_it_opens_at_so_many_failures_in_a_row(make):
    """CB-3: at exactly that many."""
    breaker = make()
    fail(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"
    assert breaker.status().reason == "5 failures in a row, the last boom"


def test_a_check_refuses_as_a_call_would_and_takes_no_probe(make, clock):
    """CB-6, I2: who is to wait for its budget first asks whether that is any use."""
    breaker = make()
    before = breaker.status()
    breaker.check()
    assert breaker.status() == before
    fail(breaker, 5)
    with pytest.raises(CircuitBreakerOpen):
        breaker.check()
    assert breaker.status().rejected == 1
    clock.advance(5)
    before = breaker.status()
    breaker.check()
    assert (breaker.state, breaker.status()) == ("half_open", before)
    probe = breaker.acquire()
    with pytest.raises(CircuitBreakerOpen, match="all its probes are out"):
        breaker.check()
    probe.succeed()
    breaker.force_open("stop")
    with pytest.raises(CircuitBreakerOpen, match="forced open"):
        breaker.check()


def test_a_success_breaks_the_row_and_an_ignored_end_does_not(make):
    """CB-3."""
    breaker = make()
    fail(breaker, 4)
    succeed(breaker)
    fail(breaker, 4)
    breaker.acquire().ignore()
    breaker.acquire().cancel()
    assert (breaker.state, breaker.status().consecutive_failures) == ("closed", 4)
    fail(breaker)
    assert breaker.state == "open"


def test_it_opens_at_the_share_of_failures(make):
    """CB-3: at exactly that share, of at least so many calls."""
    breaker = make(attrs.evolve(FIXED, window_ns=90 * SECOND + SECOND // 2))
    for _ in range(4):
        fail(breaker)
        succeed(breaker)
    assert (breaker.status().failure_rate, breaker.state) == (0.5, "closed")  # 8 calls are too few
    succeed(breaker)
    assert breaker.state == "closed"  # 4 of 9
    fail(breaker)
    assert breaker.state == "open"
    assert breaker.status().reason == "5 of 10 calls failed within 90.5 s, the last boom"


def test_a_share_just_below_does_not_open_it(make):
    """CB-3: 100 of 201 is less than a half."""
    breaker = make()
    succeed(breaker)
    for _ in range(100):
        succeed(breaker)
        fail(breaker)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_the_call_that_makes_them_enough_may_have_succeeded(make):
    """CB-3: the rule is about the window, whoever completes it."""
    breaker = make()
    for _ in range(5):
        fail(breaker)
        succeed(breaker)
    assert breaker.status().reason == "5 of 10 calls failed within 60 s"


def test_without_a_share_only_failures_in_a_row_open_it(make):
    """CB-3."""
    breaker = make(attrs.evolve(FIXED, failure_rate=None, threshold=3))
    for _ in range(50):
        fail(breaker, 2)
        succeed(breaker)
    assert breaker.state == "closed"


def test_failures_that_are_forgotten_do_not_open_it(make, clock):
    """CB-3: the share is that of the window; the row knows no time."""
    breaker = make()
    for _ in range(4):
        fail(breaker)
        succeed(breaker)
    clock.advance(61)
    succeed(breaker, 5)
    fail(breaker)
    assert (breaker.state, breaker.status().calls) == ("closed", 6)
    clock.advance(61)
    fail(breaker, 3)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


# --- CB-5 ---


def test_the_wait_doubles_up_to_its_cap(make, clock):
    """CB-5: 5 s to 60 s; the refusal says how long."""
    breaker = make()
    fail(breaker, 5)
    waits = []
    for _ in range(6):
        waits.append(refused(breaker).retry_after)
        clock.advance(waits[-1])
        fail(breaker)
    assert waits == [5, 10, 20, 40, 60, 60]


def test_the_wait_is_bounded_however_often_it_opens(make):
    """CB-5: nobody computes 5 s times two to the millionth."""
    assert FIXED.wait_ns(10**6, 0.0) == 60 * SECOND


@pytest.mark.parametrize(("drawn", "wait"), [(0.0, 4.0), (0.5, 5.0), (0.75, 5.5), (1 - 1e-12, 6.0)])
def test_the_wait_varies_by_a_fifth_to_both_sides(drawn, wait):
    """CB-5."""
    assert BreakerPolicy().wait_ns(1, drawn) / SECOND == pytest.approx(wait)


def test_jitter_comes_from_the_given_randomness_and_differs_each_time(make, clock):
    """CB-5, G-1: the same seed gives the same waits."""

    def waits(seed):
        breaker = make(BreakerPolicy(base_wait_ns=SECOND, max_wait_ns=SECOND), random=random.Random(seed))
        fail(breaker, 5)
        found = []
        for _ in range(50):
            found.append(refused(breaker).retry_after)
            clock.advance(found[-1])
            fail(breaker)
        return found

    first = waits(1)
    assert first == pytest.approx(waits(1))
    assert first != pytest.approx(waits(2))
    assert len(set(first)) > 40
    assert 0.8 <= min(first) < 0.85
    assert 1.15 < max(first) <= 1.2


def test_breakers_without_a_seed_do_not_wait_alike(clock):
    """CB-5: two providers' callers do not come back in step."""
    breakers = [CircuitBreaker(policy=BreakerPolicy(), clock=clock) for _ in range(5)]
    for breaker in breakers:
        fail(breaker, 5)
    assert len({refused(breaker).retry_after for breaker in breakers}) > 1


@pytest.mark.parametrize(("asked", "wait"), [(4, 5), (300, 300)])
def test_a_provider_that_asks_for_longer_gets_it(make, asked, wait):
    """CB-5: beyond the cap too."""
    breaker = make()
    fail(breaker, 4)
    fail(breaker, retry_after_ns=asked * SECOND)
    assert refused(breaker).retry_after == wait


def test_an_error_brings_along_what_the_provider_asks_for(make, clock):
    """CB-5: of a failure, a probe's too; retry_after is seconds."""
    breaker = half_open(make, clock, classify=lambda _: "failure")
    with pytest.raises(RateLimited), breaker.guard():
        raise RateLimited("slow down", retry_after=90.5)
    assert refused(breaker).retry_after == 90.5


class Foreign(Exception):
    """An error of a vendor's own library."""

    def __init__(self, retry_after=None, text=""):
        self.retry_after, self.text = retry_after, text

    def __str__(self):
        return self.text or {}[self.text]


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(float("inf"), 366 * 86_400), (1e300, 366 * 86_400), (float("nan"), 5), (-9, 5), ("90", 5), ([9], 5)],
    ids=repr,
)
def test_a_foreign_error_may_ask_for_what_is_no_time(make, asked, wait):
    """CB-5, CB-8: its permit goes back, and what was raised gets through."""
    breaker = make(attrs.evolve(FIXED, threshold=1))
    with pytest.raises(Foreign), breaker.guard():
        raise Foreign(asked, "busy")
    assert refused(breaker).retry_after == wait


def test_an_error_that_has_no_text_or_too_much_of_it_is_reported(make):
    """CB-8."""
    breaker = make()
    with pytest.raises(Foreign), breaker.guard():
        raise Foreign
    assert breaker.status().failed == 1
    assert breaker.status().in_flight == 0
    breaker = make(attrs.evolve(FIXED, threshold=1))
    with pytest.raises(Foreign), breaker.guard():
        raise Foreign(text=1_000_000 * "x")
    assert len(breaker.status().reason) < 600


def test_the_wait_begins_anew_after_it_was_closed(make, clock):
    """CB-5."""
    breaker = half_open(make, clock)
    fail(breaker)
    clock.advance(10)
    succeed(breaker, 2)
    fail(breaker, 5)
    assert refused(breaker).retry_after == 5


def test_a_refusal_says_what_why_how_long_and_where_to_look(make):
    """CB-5: in words and in fields."""
    breaker = make(attrs.evolve(FIXED, base_wait_ns=9 * SECOND // 2))
    fail(breaker, 5, "ConnectionLost: reset by peer")
    error = refused(breaker)
    assert str(error) == (
        "acme/history is not called, since its circuit breaker is open: 5 failures in a row, the last ConnectionLost: "
        "reset by peer; try again in 4.5 s, or use another source; `mdp breakers` shows more"
    )
    assert (error.provider, error.operation, error.retry_after) == ("acme", "history", 4.5)
    assert isinstance(error, errors.MarketDataError)


def test_a_breaker_without_a_name_can_refuse_too(clock):
    """CB-5."""
    breaker = CircuitBreaker(clock=clock)
    fail(breaker, 5, "")
    assert "this is not called, since its circuit breaker is open: 5 failures in a row; try" in str(refused(breaker))


# --- CB-6, G-6 ---


def test_it_is_half_open_from_the_exact_end_of_the_wait(make, clock):
    """CB-6: one nanosecond earlier it refuses."""
    told = Told()
    breaker = make(on_event=told)
    fail(breaker, 5)
    clock.advance(4.999_999_999)
    assert (breaker.state, breaker.get_state(), breaker.retry_after_ns) == ("open", "open", 1)
    refused(breaker)
    clock.advance(1e-9)
    assert (breaker.state, breaker.get_state(), breaker.retry_after_ns) == ("half_open", "half_open", 0)
    assert told.kinds == ["opened", "rejected"]  # nothing has happened yet: no call came
    breaker.acquire()
    assert told.kinds == ["opened", "rejected", "half_opened"]


@pytest.mark.parametrize("after", [0, 3, 5, 100])
@pytest.mark.parametrize("begin", ["closed", "open", "half_open", "lost", "forced_open", "disabled"])
def test_looking_changes_nothing(make, clock, begin, after):
    """G-6: whatever is looked at, in every state, at any time."""
    told = Told()
    breaker = make(on_event=told)
    fail(breaker, 3)
    if begin in {"open", "half_open", "lost"}:
        fail(breaker, 2)
    if begin in {"half_open", "lost"}:
        clock.advance(5)
        breaker.acquire()
        clock.advance(31 if begin == "lost" else 0)
    if begin == "forced_open":
        breaker.force_open("stop", until_ns=clock.now + 4 * SECOND)
    if begin == "disabled":
        breaker.disable("go on", until_ns=clock.now + 4 * SECOND)
    clock.advance(after)

    def memory():
        seen = {name: repr(value) for name, value in vars(breaker).items()}
        seen |= {f"calls.{name}": repr(value) for name, value in vars(breaker._calls).items()}
        seen |= {f"window.{name}": repr(value) for name, value in vars(breaker._calls._window).items()}
        return seen | {f"permit.{name}": repr(getattr(breaker._shared, name)) for name in Permit.__slots__}

    before, events = memory(), len(told)
    first = (breaker.status(), breaker.state, breaker.get_state(), breaker.is_open(), breaker.retry_after_ns)
    again = (breaker.status(), breaker.state, breaker.get_state(), breaker.is_open(), breaker.retry_after_ns)
    assert (first, memory(), len(told)) == (again, before, events)


@pytest.mark.parametrize("failed", [0, 1])
@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_what_is_seen_is_what_a_call_then_finds(make, clock, jitter, failed):
    """G-6: also where a probe was lost, so that the wait it costs is not drawn yet."""
    breaker = half_open(make, clock, attrs.evolve(FIXED, jitter=jitter, base_wait_ns=4 * SECOND))
    fail(breaker, failed)
    clock.now += breaker.retry_after_ns
    breaker.acquire()
    clock.advance(31)
    seen = breaker.retry_after_ns
    assert (breaker.state, breaker.is_open()) == ("open", True)
    assert 0 < seen <= 9 * SECOND << failed
    assert refused(breaker).retry_after == seen / SECOND
    clock.now += seen - 1
    assert breaker.state == "open"
    clock.now += 1
    assert breaker.state == "half_open"
    breaker.acquire()


# --- CB-7 ---


@pytest.mark.parametrize("probes", [1, 2, 3])
def test_so_many_probes_are_out_at_once_and_no_more(make, clock, probes):
    """CB-7, I2."""
    breaker = half_open(make, clock, attrs.evolve(FIXED, probe_concurrency=probes, probe_successes=9))
    out = [breaker.acquire() for _ in range(probes)]
    error = refused(breaker)
    assert "half open, and all its probes are out: 5 failures in a row, the last boom; try again in" in str(error)
    out.pop().succeed()
    out.append(breaker.acquire())
    refused(breaker)
    assert (len(set(out)), breaker.status().in_flight, breaker.status().rejected) == (probes, probes, 2)


def test_so_many_successes_in_a_row_close_it(make, clock):
    """CB-7: two by default."""
    breaker = half_open(make, clock)
    succeed(breaker)
    assert (breaker.state, breaker.status().probe_successes) == ("half_open", 1)
    succeed(breaker)
    assert (breaker.state, breaker.status().reason) == ("closed", "it works again")


def test_one_failure_of_a_probe_opens_it_again_for_longer(make, clock):
    """CB-7."""
    breaker = half_open(make, clock)
    succeed(breaker)
    fail(breaker, reason="ServerError: 500")
    assert (breaker.state, breaker.status().attempt, refused(breaker).retry_after) == ("open", 2, 10.0)
    assert breaker.status().reason == "a probe failed, ServerError: 500"
    clock.advance(10)
    fail(breaker, reason="")
    assert breaker.status().reason == "a probe failed"


def test_a_refusal_while_probes_are_out_says_when_to_ask_again(make, clock):
    """CB-7: never 0, so that nobody asks in a loop; the first wait, or the rest of the oldest probe's time."""
    breaker = half_open(make, clock)
    breaker.acquire()
    assert refused(breaker).retry_after == 5.0
    clock.advance(29)
    assert refused(breaker).retry_after == pytest.approx(1 + 1e-9)
    clock.advance(1)
    assert refused(breaker).retry_after == pytest.approx(1e-9)


# --- CB-8 ---


def outcome(status):
    return status.succeeded, status.failed, status.ignored, status.cancelled


def leave(permit, in_flight, error):
    assert (type(permit), in_flight) == (Permit, 1)
    if error:
        raise error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, (1, 0, 0, 0)),
        (ConnectionLost("reset"), (0, 1, 0, 0)),
        (UnknownSymbol("XYZ"), (0, 0, 1, 0)),
        (RateLimited("429"), (0, 0, 1, 0)),
        (asyncio.CancelledError(), (0, 0, 0, 1)),
        (KeyboardInterrupt(), (0, 0, 0, 1)),
        (GeneratorExit(), (0, 0, 0, 1)),
        (ExceptionGroup("two", [UnknownSymbol("XYZ"), TimeoutError()]), (0, 1, 0, 0)),
        (BaseExceptionGroup("two", [asyncio.CancelledError(), UnknownSymbol("XYZ")]), (0, 0, 1, 0)),
        (BaseExceptionGroup("two", [asyncio.CancelledError(), SystemExit()]), (0, 0, 0, 1)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("probing", [False, True], ids=["closed", "half open"])
def test_however_the_block_is_left_the_permit_goes_back_once(make, clock, error, expected, probing):
    """CB-8, I6: and what was raised inside gets through as it is."""
    breaker = half_open(make, clock) if probing else make()
    before = outcome(breaker.status())
    expectation = pytest.raises(type(error)) if error else nullcontext()
    with expectation as caught, breaker.guard() as permit:
        leave(permit, breaker.status().in_flight, error)
    assert error is None or caught.value is error
    assert tuple(new - old for new, old in zip(outcome(breaker.status()), before, strict=True)) == expected
    assert breaker.status().in_flight == 0


@pytest.mark.parametrize("end", [Permit.ignore, Permit.cancel])
def test_a_probe_that_ends_without_a_vote_makes_room_for_the_next(make, clock, end):
    """CB-8: neither closed nor opened by it, and the row of successes stays."""
    breaker = half_open(make, clock)
    succeed(breaker)
    for _ in range(3):
        end(breaker.acquire())
    assert breaker.state == "half_open"
    succeed(breaker)
    assert breaker.state == "closed"


def test_a_cancelled_probe_neither_opens_nor_closes_it(make, clock):
    """CB-8: a real cancellation, of a call that waits for its provider."""
    breaker = half_open(make, clock)

    async def call(begun):
        async with breaker.guard():
            begun.set()
            await asyncio.Event().wait()

    async def main():
        begun = asyncio.Event()
        task = asyncio.create_task(call(begun))
        await begun.wait()
        refused(breaker)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (breaker.state, breaker.status().in_flight, breaker.status().cancelled) == ("half_open", 0, 1)
        async with breaker.guard():
            pass
        async with breaker.guard():
            pass
        assert breaker.state == "closed"

    asyncio.run(main())


def test_a_refused_block_is_not_entered_and_releases_nothing(make):
    """CB-8: neither form of it."""
    breaker = make()
    fail(breaker, 5)

    async def main():
        async with breaker.guard():
            raise AssertionError("entered")

    with pytest.raises(CircuitBreakerOpen):
        asyncio.run(main())
    with pytest.raises(CircuitBreakerOpen), breaker.guard():
        raise AssertionError("entered")
    status = breaker.status()
    assert (status.rejected, status.late_results, status.failed, status.in_flight) == (2, 0, 5, 0)


def test_a_permit_that_is_given_back_twice_votes_once(make, clock):
    """CB-8: a probe's second success does not close it, nor does a second failure count while closed."""
    breaker = half_open(make, clock)
    probe = breaker.acquire()
    probe.succeed()
    probe.succeed()
    assert (breaker.state, breaker.status().late_results) == ("half_open", 1)
    breaker.clear()
    permit = breaker.acquire()
    for _ in range(9):
        permit.fail()
    assert (breaker.state, breaker.status().late_results, breaker.status().failures) == ("closed", 9, 1)


# --- CB-9 ---


def test_a_probe_that_does_not_report_is_lost_and_counts_as_failed(make, clock):
    """CB-9: after more than 30 s; it opens again, and its result changes nothing."""
    told = Told()
    breaker = half_open(make, clock, on_event=told)
    probe = breaker.acquire()
    clock.advance(30)
    assert breaker.state == "half_open"
    clock.advance(1e-9)
    assert (breaker.state, refused(breaker).retry_after) == ("open", pytest.approx(10 - 1e-9))
    assert breaker.status().reason == "a probe did not report within 30 s"
    probe.succeed()
    assert (breaker.state, breaker.status().late_results) == ("open", 1)
    assert told.kinds == ["opened", "half_opened", "opened", "rejected"]


def test_a_lost_probe_that_reports_itself_is_late_too(make, clock):
    """CB-9: nobody else called meanwhile; the wait runs from the end of its time, not from its report."""
    breaker = half_open(make, clock, attrs.evolve(FIXED, max_probe_ns=61 * SECOND // 2))
    probe = breaker.acquire()
    clock.advance(33)
    probe.succeed()
    assert (breaker.state, breaker.status().late_results, breaker.status().succeeded) == ("open", 1, 0)
    assert refused(breaker).retry_after == 7.5
    assert breaker.status().reason == "a probe did not report within 30.5 s"


def test_a_breaker_is_never_stuck_half_open(make, clock):
    """CB-9: long after a probe was lost, the next call is the next probe, and each transition is told."""
    told = Told()
    breaker = half_open(make, clock, on_event=told)
    breaker.acquire()
    clock.advance(1e6)
    assert breaker.state == "half_open"
    succeed(breaker, 2)
    assert breaker.state == "closed"
    assert told.kinds == ["opened", "half_opened", "opened", "half_opened", "closed"]
    assert [event.at_ns // SECOND for event in told] == [0, 5, 35, 1_000_005, 1_000_005]


def test_a_probe_in_time_saves_one_that_is_younger(make, clock):
    """CB-9: the oldest that is out decides."""
    breaker = half_open(make, clock, attrs.evolve(FIXED, probe_concurrency=2, probe_successes=3))
    older = breaker.acquire()
    clock.advance(20)
    younger = breaker.acquire()
    older.succeed()
    clock.advance(30)
    assert breaker.state == "half_open"
    younger.succeed()
    assert breaker.status().probe_successes == 2


# --- CB-10 ---


@pytest.mark.parametrize("end", [Permit.succeed, Permit.fail, Permit.ignore, Permit.cancel, lambda p: p.force("bad")])
@pytest.mark.parametrize("later", ["open", "half_open", "closed again", "cleared", "forced_open", "disabled"])
def test_a_result_of_an_earlier_generation_changes_a_counter_only(make, clock, end, later):
    """CB-10: slow calls of before neither close nor open anything."""
    told = Told()
    breaker = make(on_event=told)
    slow = [breaker.acquire() for _ in range(9)]
    fail(breaker, 5)
    if later in {"half_open", "closed again"}:
        clock.advance(5)
        probe = breaker.acquire()
        if later == "closed again":
            probe.succeed()
            succeed(breaker)
    if later == "cleared":
        breaker.clear()
    if later == "forced_open":
        breaker.force_open("stop")
    if later == "disabled":
        breaker.disable("go on")
    before, events = breaker.status(), len(told)
    for permit in slow:
        end(permit)
    assert breaker.status() == attrs.evolve(before, late_results=9)
    assert len(told) == events


def test_successes_at_hand_of_an_earlier_generation_are_late_too(make, clock):
    """CB-10: the quick way of counting ends with its generation."""
    breaker = make()
    succeed(breaker)
    slow = breaker.acquire()
    breaker.acquire().succeed(clock.now)
    breaker.clear()
    slow.succeed(clock.now)
    status = breaker.status()
    assert (status.calls, status.late_results, status.succeeded) == (0, 1, 2)


def test_every_transition_is_a_new_generation(make, clock):
    """CB-10."""
    told = Told()
    breaker = half_open(make, clock, on_event=told)
    succeed(breaker, 2)
    breaker.force_open("stop")
    breaker.disable("go on")
    breaker.clear()
    assert [event.generation for event in told] == [1, 2, 3, 4, 5, 6]


# --- CB-11 ---

VERDICTS = {
    "forced": {"AuthenticationFailed"},
    "cooldown": {"RateLimited"},
    "failure": {
        *("RetryableError", "ConnectionLost", "SourceTimeout", "ServerError"),
        *("CompetingSession", "SourceBug", "PluginContractError"),
    },
}


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name[0].isupper()])
def test_every_error_of_the_tree_has_its_verdict(name):
    """CB-11: what is not named here says nothing about the provider."""
    expected = next((verdict for verdict, names in VERDICTS.items() if name in names), "ignored")
    assert classify(getattr(errors, name)("what happened")) == expected


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), ConnectionRefusedError(), OSError(101, "unreachable"), ValueError("foreign"), KeyError("foreign")],
    ids=repr,
)
def test_timeouts_refused_connections_and_foreign_exceptions_are_failures(error):
    """CB-11, G-4."""
    assert classify(error) == "failure"


@pytest.mark.parametrize(("transient", "verdict"), [(True, "failure"), (False, "ignored")])
def test_a_write_counts_if_the_same_may_succeed_later(transient, verdict):
    """CB-11: a sink that can never take a row is not down."""
    assert classify(errors.SinkError("disk", transient=transient)) == verdict


@pytest.mark.parametrize("probing", [False, True], ids=["closed", "half open"])
def test_credentials_that_are_refused_are_tried_once(make, clock, probing):
    """CB-11: nothing but a reset lets another call through."""
    breaker = half_open(make, clock) if probing else make()
    with pytest.raises(AuthenticationFailed), breaker.guard():
        raise AuthenticationFailed("no such key")
    clock.advance(1e9)
    error = refused(breaker)
    assert error.retry_after is None
    assert "forced open: AuthenticationFailed: no such key; reset it when that is corrected" in str(error)
    breaker.clear("new credentials")
    assert (breaker.state, breaker.status().reason) == ("closed", "new credentials")
    succeed(breaker)


def test_the_gravest_of_several_errors_counts(make):
    """CB-11: it is the reason, too."""
    breaker = make()
    inner = ExceptionGroup("inner", [ConnectionLost("reset"), AuthenticationFailed("no")])
    with pytest.raises(ExceptionGroup), breaker.guard():
        raise ExceptionGroup("outer", [UnknownSymbol("X"), inner, ServerError("500")])
    assert (breaker.state, breaker.status().reason) == ("forced_open", "AuthenticationFailed: no")


@pytest.mark.parametrize("times", [50])
@pytest.mark.parametrize("error", [RateLimited("429", retry_after=60.0), UnknownSymbol("XYZ")], ids=repr)
def test_a_rate_limit_and_a_mistake_of_the_caller_open_nothing(make, error, times):
    """CB-11: the one is the pacing's, the other nobody's."""
    breaker = make()
    for _ in range(times):
        with pytest.raises(type(error)), breaker.guard():
            raise error
    assert (breaker.state, breaker.status().ignored, breaker.status().calls) == ("closed", times, 0)


def test_who_knows_better_can_judge_errors(make):
    """CB-11."""
    breaker = make(classify=lambda error: "failure" if isinstance(error, UnknownSymbol) else "ignored")
    for error in [ConnectionLost("reset"), *[UnknownSymbol("XYZ")] * 5]:
        with pytest.raises(type(error)), breaker.guard():
            raise error
    assert (breaker.state, breaker.status().ignored) == ("open", 1)


def test_a_judge_that_fails_keeps_no_permit(make, clock):
    """CB-11, CB-13: the error counts as a failure, the mistake is counted, and the first error gets through."""

    def broken(_):
        raise LookupError("mine")

    breaker = half_open(make, clock, classify=broken, on_event=broken)
    with pytest.raises(UnknownSymbol), breaker.guard():
        raise UnknownSymbol("XYZ")
    assert (breaker.state, breaker.status().callback_errors, breaker.status().in_flight) == ("open", 1 + 3, 0)


# --- CB-13 ---


def test_each_transition_is_told_once_with_its_counts(make, clock):
    """CB-13."""
    told = Told()
    breaker = make(on_event=told)
    succeed(breaker, 2)
    fail(breaker, 5)
    refused(breaker)
    clock.advance(5)
    succeed(breaker, 2)
    breaker.force_open("stop", until_ns=clock.now + 3)
    breaker.force_open("stop", until_ns=clock.now - 3)
    breaker.force_open("stop")
    breaker.disable("go on", until_ns=99)
    breaker.clear("done")
    assert [(e.kind, e.reason, e.generation, e.calls, e.failures, e.retry_after_ns) for e in told] == [
        ("opened", "5 failures in a row, the last boom", 1, 7, 5, 5 * SECOND),
        ("rejected", "5 failures in a row, the last boom", 1, 0, 0, 5 * SECOND),
        ("half_opened", "5 failures in a row, the last boom", 2, 0, 0, 0),
        ("closed", "it works again", 3, 0, 0, 0),
        ("forced", "stop", 4, 0, 0, 3),
        ("forced", "stop", 5, 0, 0, 0),
        ("forced", "stop", 6, 0, 0, None),
        ("disabled", "go on", 7, 0, 0, 0),
        ("closed", "done", 8, 0, 0, 0),
    ]
    assert {(event.provider, event.operation) for event in told} == {("acme", "history")}


def test_a_listener_finds_the_transition_done(make, clock):
    """CB-13: what it sees of the breaker is what it is told."""
    seen = []
    breaker = make(on_event=lambda event: seen.append((event.kind, breaker.state)))
    fail(breaker, 5)
    clock.advance(5)
    succeed(breaker, 2)
    assert seen == [("opened", "open"), ("half_opened", "half_open"), ("closed", "closed")]


def test_what_a_listener_raises_is_counted_and_reaches_nobody(make, clock):
    """CB-13: every transition is as without it."""

    def broken(event):
        raise RuntimeError("mine")

    breaker = half_open(make, clock, on_event=broken)
    succeed(breaker, 2)
    assert (breaker.state, breaker.status().callback_errors) == ("closed", 3)


def test_what_a_listener_does_is_told_after_what_it_was_told(make):
    """CB-13: in order, one at a time."""
    told = Told()

    def meddle(event):
        told.append(event)
        if event.kind == "opened":
            breaker.force_open("for good")
            told.append("still inside")

    breaker = make(on_event=meddle)
    fail(breaker, 5)
    assert [event if isinstance(event, str) else event.kind for event in told] == ["opened", "still inside", "forced"]
    assert breaker.state == "forced_open"


def test_a_listener_that_calls_when_a_call_is_refused_does_so_once(make):
    """CB-13: its own refusal is counted and not told, else the two would go on for ever."""
    told = Told()

    def stubborn(event):
        told.append(event)
        if event.kind == "rejected":
            refused(breaker)

    breaker = make(on_event=stubborn)
    fail(breaker, 5)
    refused(breaker)
    assert (told.kinds, breaker.status().rejected) == (["opened", "rejected"], 2)


def test_a_listener_that_ends_the_program_leaves_the_breaker_whole(make):
    """CB-13: only exceptions are dropped, and the next event is told again."""
    told = Told()

    def leave(event):
        told.append(event)
        if event.kind == "opened":
            raise KeyboardInterrupt

    breaker = make(on_event=leave)
    with pytest.raises(KeyboardInterrupt):
        fail(breaker, 5)
    breaker.clear()
    assert (told.kinds, breaker.state) == (["opened", "closed"], "closed")


# --- CB-14 ---


def test_nothing_but_the_block_and_the_earlier_calls_is_asynchronous():
    """CB-14: no transition can be interrupted, since nothing in it awaits."""
    functions = [
        function
        for module in (
            breaking,
            *(value for value in vars(breaking).values() if inspect.isclass(value)),
        )
        for _, function in inspect.getmembers(module, inspect.iscoroutinefunction)
    ]
    assert {function.__qualname__ for function in functions} == {
        *("Permit.__aenter__", "Permit.__aexit__"),
        *("CircuitBreaker.record_success", "CircuitBreaker.record_failure", "CircuitBreaker.reset"),
    }
    for function in (Permit.__aenter__, Permit.__aexit__, *map(vars(CircuitBreaker).get, ("record_success", "reset"))):
        assert "await" not in inspect.getsource(function).partition('"""')[2].partition('"""')[2]


# --- the earlier calls ---


def run(coroutine):
    """Run a coroutine that never waits."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_the_earlier_arguments_keep_their_meaning(clock):
    """CB-5: a fixed wait, no jitter, so many probes; failures that are not in a row open nothing."""
    breaker = CircuitBreaker(threshold=3, timeout=1.5, half_open_attempts=2, clock=clock)
    for _ in range(20):
        run(breaker.record_failure())
        run(breaker.record_failure())
        run(breaker.record_success())
    assert (breaker.is_open(), breaker.get_state()) == (False, "closed")
    for _ in range(3):
        run(breaker.record_failure())
    assert (breaker.is_open(), breaker.get_state()) == (True, "open")
    for _ in range(5):
        clock.advance(1.5)
        assert (breaker.is_open(), breaker.get_state()) == (False, "half_open")
        run(breaker.record_success())
        run(breaker.record_failure())
        assert breaker.get_state() == "open"
    clock.advance(1.5)
    run(breaker.record_success())
    assert breaker.get_state() == "half_open"
    run(breaker.record_success())
    assert breaker.get_state() == "closed"


def test_the_earlier_defaults():
    """CB-5: five failures, a minute, one probe."""
    assert CircuitBreaker().policy == CircuitBreaker(5, 60.0, 1).policy
    policy = CircuitBreaker().policy
    assert (policy.threshold, policy.base_wait_ns, policy.max_wait_ns) == (5, 60 * SECOND, 60 * SECOND)
    assert (policy.jitter, policy.failure_rate) == (0.0, None)
    assert (policy.probe_concurrency, policy.probe_successes) == (1, 1)


def test_results_without_a_permit_do_not_shorten_a_wait(clock):
    """CB-10: what was begun before it opened is late."""
    breaker = CircuitBreaker(1, 60.0, clock=clock)
    run(breaker.record_failure())
    run(breaker.record_success())
    run(breaker.record_failure())
    clock.advance(59)
    assert (breaker.get_state(), breaker.status().late_results) == ("open", 2)


def test_the_earlier_reset_closes_it(clock):
    """CB-1."""
    breaker = CircuitBreaker(1, clock=clock)
    run(breaker.record_failure())
    run(breaker.reset())
    assert (breaker.get_state(), breaker.status().reason) == ("closed", "it was cleared")


def test_earlier_programs_see_force_as_open_and_disabling_as_closed(clock):
    """CB-1: `get_state()` has three words."""
    breaker = CircuitBreaker(clock=clock)
    breaker.force_open("stop")
    run(breaker.record_success())
    assert (breaker.is_open(), breaker.get_state(), breaker.status().late_results) == (True, "open", 1)
    breaker.disable("go on")
    run(breaker.record_failure())
    assert (breaker.is_open(), breaker.get_state(), breaker.status().failed) == (False, "closed", 1)


def test_without_a_clock_it_is_the_loops(make):
    """G-1: that is how a simulation moves it."""

    async def main():
        breaker = CircuitBreaker(1)
        await breaker.record_failure()
        return breaker.get_state()

    assert asyncio.run(main()) == "open"


# --- policy and status ---


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(name, 0) for name in ("threshold", "min_calls", "base_wait_ns", "probe_concurrency", "probe_successes")],
        *[
            ("max_probe_ns", 0),
            ("failure_rate", 0.0),
            ("failure_rate", -0.1),
            ("failure_rate", 1.1),
            ("window_ns", 59),
            ("jitter", -0.1),
        ],
        *[("jitter", 1.0), ("max_wait_ns", 5 * SECOND - 1)],
    ],
)
def test_a_policy_without_sense_is_refused_with_its_place(field, value):
    with pytest.raises(ConfigurationError, match=rf"^BreakerPolicy\.{field}: must be .*, not {value}"):
        BreakerPolicy(**{field: value})


@pytest.mark.parametrize("field", [{"failure_rate": 1.0}, {"window_ns": 60}, {"max_wait_ns": 5 * SECOND}])
def test_a_policy_at_its_bounds_is_fine(field):
    BreakerPolicy(**field)


@pytest.mark.parametrize("earlier", [(3,), (6,), (5, 61.0)])
def test_a_policy_and_earlier_arguments_are_refused_together(earlier):
    with pytest.raises(ConfigurationError, match="CircuitBreaker: give either a policy or threshold, timeout and"):
        CircuitBreaker(*earlier, policy=BreakerPolicy())


def test_a_status_is_plain_data(make):
    """G-6: every count that a status tree or a table needs."""
    breaker = make()
    succeed(breaker)
    fail(breaker)
    assert breaker.status().as_dict() == {
        "provider": "acme",
        "operation": "history",
        "state": "closed",
        "reason": "",
        "since_ns": 0,
        "retry_after_ns": 0,
        "generation": 0,
        "attempt": 0,
        "consecutive_failures": 1,
        "calls": 2,
        "failures": 1,
        "failure_rate": 0.5,
        "in_flight": 0,
        "probe_successes": 0,
        "opened": 0,
        "rejected": 0,
        "succeeded": 1,
        "failed": 1,
        "ignored": 0,
        "cancelled": 0,
        "late_results": 0,
        "callback_errors": 0,
    }


def test_a_status_counts_how_often_it_opened_and_refused(make, clock):
    """CB-13: by itself and by force."""
    breaker = make()
    for _ in range(2):
        fail(breaker, 5)
        refused(breaker)
        breaker.clear()
    breaker.force_open("stop")
    clock.advance(3)
    refused(breaker)
    assert (breaker.status().opened, breaker.status().rejected, breaker.status().since_ns) == (3, 3, 0)


def test_generations_grow(make):
    """I3: permits, votes and what is in flight add up in each generation."""
    breaker = make()
    permits = [breaker.acquire() for _ in range(7)]
    for end in (Permit.succeed, lambda permit: permit.succeed(0), Permit.fail, Permit.ignore, Permit.cancel):
        end(permits.pop())
        status = breaker.status()
        assert status.in_flight == len(permits)
        assert status.in_flight + sum(outcome(status)) == 7
    generations = [breaker.status().generation]
    for _ in range(3):
        breaker.clear()
        generations.append(breaker.status().generation)
    assert all(later == earlier + 1 for earlier, later in pairwise(generations))
