"""The meters one by one, on plain numbers as times."""

from itertools import pairwise

import attrs
import pytest

from market_data_pipeline.contracts.budget import SECOND_NS, Concurrency, Gcra, MinGap, Window
from market_data_pipeline.pacing.feedback import FLOOR, MEASURE_NS, RECOVERY_SEC, Feedback, FeedbackMeter
from market_data_pipeline.pacing.meters import ENTRIES, NEVER, RUN_NS, make_meter

W = Window(name="w", limit=3, period_ns=100)
G = Gcra(name="g", limit=2, period_ns=100, burst=2)
C = Concurrency(name="c", limit=3)
M = MinGap(name="m", gap_ns=100)


def taken(rule, *times, slack=0, cost=1):
    meter = make_meter(rule, slack)
    for time in times:
        assert meter.earliest(time, cost) <= time
        meter.take(time, cost)
    return meter


@pytest.mark.parametrize(("cost", "when"), [(1, 110), (2, 120), (3, 130)])
def test_a_window_has_room_when_as_much_as_it_costs_is_a_whole_window_old(cost, when):
    """RC-2."""
    meter = taken(W, 10, 20, 30)
    assert meter.earliest(40, cost) == when
    assert meter.earliest(when - 1, cost) > when - 1
    assert meter.earliest(when, cost) == when


def test_a_cost_above_what_a_window_allows_after_a_change_never_fits():
    meter = taken(W, 10)
    meter.change(Window(name="w", limit=1, period_ns=100), 0, 20)
    assert meter.earliest(20, 2) == NEVER


@pytest.mark.parametrize("rule", [W, M])
def test_slack_stretches_windows_and_gaps(rule):
    """RC-3."""
    meter = taken(rule, 0, slack=7, cost=3)
    assert meter.earliest(1, 3) == 107


def test_an_even_rate_needs_no_slack():
    """RC-3."""
    assert taken(G, 0, 0, slack=7).earliest(0, 1) == 50


def test_a_large_window_keeps_a_bounded_log_and_counts_steps_as_late_as_their_last_call():
    """RC-2."""
    rule = Window(name="w", limit=10_000, period_ns=1_024_000)
    meter = taken(rule, *range(0, 1_000_000, 100))
    assert len(meter.dump()) <= ENTRIES
    step = rule.period_ns // ENTRIES
    assert rule.period_ns <= meter.earliest(1_000_001, 1) < rule.period_ns + step


def test_a_window_whose_log_has_room_for_all_its_calls_is_exact():
    """RC-2."""
    meter = make_meter(Window(name="w", limit=ENTRIES, period_ns=1_024_000), 0)
    meter.take(0, 1)
    meter.take(500, ENTRIES - 1)
    assert [meter.earliest(501, cost) for cost in (1, 2)] == [1_024_000, 1_024_500]


def test_a_window_gives_back_what_is_refunded():
    meter = taken(W, 10, 20, 30)
    meter.refund(20, 1)
    assert meter.earliest(31, 1) == 31
    meter.take(31, 1)
    assert meter.earliest(31, 1) == 110
    assert meter.earliest(31, 2) == 130


def test_a_refund_of_a_part_of_what_went_out_at_one_time_leaves_the_rest():
    meter = make_meter(W, 0)
    meter.take(10, 2)
    meter.take(10, 1)
    meter.refund(10, 2)
    meter.take(50, 2)
    assert meter.earliest(60, 1) == 110


@pytest.mark.parametrize("limit", [3, 10 * ENTRIES])
def test_a_refund_of_what_a_window_no_longer_remembers_changes_nothing(limit):
    """RC-2: it would let out more than the window allows."""
    rule = Window(name="w", limit=limit, period_ns=100_000)
    meter = taken(rule, 0, cost=limit)
    assert meter.earliest(100_001, limit) == 100_001
    meter.take(100_001, limit)
    meter.refund(0, limit)
    assert meter.earliest(100_002, 1) == 200_001


def test_a_refund_of_all_that_a_window_remembered_is_one():
    meter = taken(W, 10)
    assert meter.earliest(200, 3) == 200
    meter.refund(10, 1)
    assert meter.dump() == []


def test_an_even_rate_allows_its_burst_and_then_one_by_one():
    """RC-2."""
    meter = taken(G, 1_000, 1_000)
    assert meter.earliest(1_000, 1) == 1_050
    assert meter.earliest(1_000, 2) == 1_100
    assert meter.earliest(1_050, 1) == 1_050


def test_an_even_rate_is_rounded_to_the_safe_side_and_does_not_drift():
    """RC-2."""
    meter, now = make_meter(Gcra(name="g", limit=3, period_ns=100, burst=2), 0), 0
    for _ in range(301):
        meter.take(now, 1)
        now = meter.earliest(now, 1)
    assert now == 10_000


@pytest.mark.parametrize("begin", range(4))
def test_an_even_rate_has_no_room_a_nanosecond_too_early(begin):
    """RC-2."""
    meter = taken(Gcra(name="g", limit=1, period_ns=100), begin)
    assert [meter.earliest(begin + later, 1) - begin for later in (98, 99, 100)] == [100] * 3


@pytest.mark.parametrize("begin", [0, 1_000])
def test_the_last_of_an_even_rate_is_refunded_whole(begin):
    meter = taken(G, begin, begin)
    meter.refund(begin, 1)
    assert meter.earliest(begin, 1) == begin
    meter.take(begin, 1)
    assert meter.earliest(begin, 1) == begin + 50


def test_a_refund_gives_back_no_more_than_was_taken():
    """RC-2: what was taken before its run counts on."""
    meter = taken(Gcra(name="g", limit=1, period_ns=10 * RUN_NS, burst=3), 0, 0)
    now = RUN_NS + 1
    before = meter.earliest(now, 3)
    meter.take(now, 1)
    meter.refund(now, 1)
    assert meter.earliest(now, 3) == before == 20 * RUN_NS


def test_a_refund_does_not_let_out_more_than_a_burst_behind_what_came_later():
    """RC-2: a burst of one is over with what came later, whatever came before."""
    rule = Gcra(name="g", limit=1, period_ns=1_000)
    meter = taken(rule, 0, 5_000)
    meter.refund(0, 1)
    assert meter.earliest(5_000, 1) == 6_000


def test_a_refund_long_after_it_was_taken_changes_nothing():
    """RC-2."""
    meter = taken(G, 0, RUN_NS + 1, RUN_NS + 1)
    meter.refund(0, 1)
    assert meter.earliest(RUN_NS + 1, 1) == RUN_NS + 51


def test_a_gap_counts_from_the_last_call_and_from_the_one_before_when_that_is_refunded():
    meter = taken(M, 0, 100)
    assert meter.earliest(100, 1) == 200
    meter.refund(0, 1)
    assert meter.earliest(100, 1) == 200
    meter.refund(100, 1)
    assert meter.earliest(100, 1) == 100


def test_what_is_open_has_room_when_something_is_given_back_and_not_before():
    meter = taken(C, 0, 0, 0)
    assert meter.earliest(10**18, 1) == NEVER
    meter.release(1)
    assert meter.earliest(5, 1) == 5
    assert meter.earliest(5, 2) == NEVER
    meter.refund(0, 2)
    assert meter.earliest(5, 3) == 5


def test_who_gives_back_what_it_does_not_hold_makes_no_room():
    """RC-9."""
    meter = taken(C, 0, 0, 0)
    meter.owner = "another"
    meter.release(1)
    assert meter.earliest(5, 1) == NEVER


@pytest.mark.parametrize(("rule", "idle"), [(W, 110), (G, 60), (M, 110)])
def test_a_meter_may_be_forgotten_when_it_is_as_good_as_new(rule, idle):
    meter = make_meter(rule, 0)
    assert meter.idle(0)
    meter.take(10, 1)
    assert not meter.idle(idle - 1)
    assert meter.idle(idle)
    assert meter.idle(idle + 1)


def test_what_is_open_is_not_forgotten():
    meter = taken(C, 0)
    assert not meter.idle(10**18)
    meter.release(1)
    assert meter.idle(0)


@pytest.mark.parametrize("rule", [W, G, M])
def test_what_counts_as_used_up_stays_so_when_it_ends(rule):
    meter = taken(rule, 10)
    meter.release(1)
    assert not meter.idle(11)


@pytest.mark.parametrize(
    ("rule", "other", "when"),
    [
        (W, Window(name="w", limit=1, period_ns=100), 120),
        (W, Window(name="w", limit=2, period_ns=500), 510),
        (G, Gcra(name="g", limit=4, period_ns=100, burst=2), 36),  # 42 of the 200 that were ahead are refilled
        (M, MinGap(name="m", gap_ns=300), 320),
        (C, Concurrency(name="c", limit=2), NEVER),
    ],
)
def test_what_was_taken_stays_taken_under_another_number(rule, other, when):
    """RC-14."""
    meter = taken(rule, *((10, 20) if rule is W else (20,) if rule is M else (0, 0)))
    meter.change(other, 0, 21)
    assert meter.rule is other
    assert meter.earliest(21, 1) == when


def test_a_rate_that_changes_refills_at_the_old_rate_up_to_now():
    """RC-14."""
    meter = taken(Gcra(name="g", limit=1, period_ns=100, burst=4), 0, 0, 0, 0)
    meter.change(Gcra(name="g", limit=10, period_ns=100, burst=4), 0, 100)  # one of four is refilled
    assert meter.earliest(100, 1) == 100
    assert meter.earliest(100, 2) == 110


def test_a_rate_that_changes_at_the_very_beginning_forgets_nothing():
    """RC-14."""
    meter = taken(G, 0, 0)
    meter.change(Gcra(name="g", limit=1, period_ns=100, burst=2), 0, 0)
    assert meter.earliest(0, 1) == 100


def test_what_was_taken_before_a_rate_changed_is_not_refunded():
    """RC-14."""
    meter = taken(G, 9, 9)
    meter.change(Gcra(name="g", limit=1, period_ns=100, burst=2), 0, 10)
    before = meter.earliest(10, 1)
    meter.refund(9, 1)
    assert meter.earliest(10, 1) == before


@pytest.mark.parametrize("rule", [W, attrs.evolve(G, limit=3), M, C], ids=lambda rule: rule.kind)
def test_a_dump_is_loaded_by_another_of_the_same_rule(rule):
    meter = taken(rule, 10) if rule is M else taken(rule, 10, 10)
    other = make_meter(rule, 0)
    other.load(meter.dump())
    assert other.dump() == meter.dump()
    assert [other.earliest(11, cost) for cost in (1, 2, 3)] == [meter.earliest(11, cost) for cost in (1, 2, 3)]


F = Feedback(name="cooldown", declared=10.0)


def busy(rule=F, rate=10, seconds=20):
    """Return a meter through which so many calls a second went out, up to that time."""
    meter = FeedbackMeter(rule)
    for number in range(rate * seconds):
        meter.take(number * SECOND_NS // rate, 1)
    return meter, seconds * SECOND_NS


def test_nothing_goes_out_before_the_later_of_two_cooldowns_ends():
    """RC-10."""
    meter = FeedbackMeter(F)
    meter.cool(500)
    meter.cool(300)
    assert meter.earliest(100, 1) == 500
    assert meter.earliest(600, 1) <= 600


def test_what_goes_out_does_not_end_a_cooldown():
    """RC-10."""
    meter = FeedbackMeter(F)
    meter.cool(500)
    meter.take(10, 1)
    assert meter.earliest(100, 1) == 500


def test_a_refusal_cuts_the_rate_at_which_it_was_refused():
    """RC-10."""
    meter, now = busy(rate=10)
    meter.shrink(now, now)
    assert meter.rate == pytest.approx(7, rel=0.02)
    assert meter.earliest(now, 1) - now == pytest.approx(SECOND_NS / 7, rel=0.02)
    meter.take(now, 1)
    assert meter.earliest(now, 1) - now == pytest.approx(SECOND_NS / 7, rel=0.02)


def test_a_refusal_at_the_beginning_of_a_measure_cuts_the_rate_of_the_one_before():
    """RC-10."""
    meter, now = busy(rate=10)
    now += SECOND_NS // 5
    meter.take(now, 1)
    meter.shrink(now, now)
    assert meter.rate == pytest.approx(7, rel=0.03)


def test_calls_in_quick_succession_are_no_measure():
    """RC-10: a measure lasts ten seconds at least, whenever it begins."""
    meter, now = FeedbackMeter(F), 2**40
    meter.take(now - 1, 1)
    meter.take(now, 1)
    meter.shrink(now, now)
    assert meter.rate == pytest.approx(1.4)


def test_all_that_went_out_before_a_cut_is_one_refusal():
    """RC-10."""
    meter, now = busy()
    meter.shrink(now, now)
    rate = meter.rate
    meter.shrink(now + 1, now - 1)
    assert meter.rate == rate
    meter.shrink(now + 2, now + 1)
    assert meter.rate == pytest.approx(0.7 * rate, rel=0.001)


def test_the_rate_never_falls_below_the_floor():
    """RC-10."""
    meter, now = busy()
    for step in range(30):
        meter.shrink(now + step, now + step)
    assert meter.rate == FLOOR


def test_the_rate_recovers_in_equal_steps_up_to_what_is_declared_and_no_further():
    """RC-10."""
    meter, now = busy(rate=10)
    meter.shrink(now, now)
    rates = []
    for second in range(1, int(RECOVERY_SEC)):
        meter.take(now + second * SECOND_NS, 1)
        rates.append(meter.rate)
    steps = [after - before for before, after in pairwise(rates) if after]
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert max(rates) < F.declared
    assert rates[-1] == 0.0
    assert rates.index(0.0) == pytest.approx(0.3 * RECOVERY_SEC, abs=1)


def test_an_undeclared_rate_recovers_up_to_twice_what_was_refused():
    """RC-10."""
    meter, now = busy(Feedback(name="cooldown"), rate=10)
    meter.shrink(now, now)
    meter.take(now + 70 * SECOND_NS, 1)
    assert 10 < meter.rate < 20
    meter.take(now + 80 * SECOND_NS, 1)
    assert meter.rate == 0.0


def test_a_refusal_while_the_rate_recovers_cuts_what_it_has_become():
    """RC-10."""
    meter, now = busy(rate=10)
    meter.shrink(now, now)
    meter.shrink(now + 6 * SECOND_NS, now + SECOND_NS)
    assert meter.rate == pytest.approx(0.7 * 8, rel=0.02)


def test_a_rate_that_is_not_adaptive_is_left_alone():
    """RC-10."""
    meter, now = busy(Feedback(name="cooldown", adaptive=False))
    meter.shrink(now, now)
    assert meter.rate == 0.0
    meter, now = busy()
    meter.shrink(now, now)
    meter.change(Feedback(name="cooldown", adaptive=False), 0, now)
    assert meter.rate == 0.0


def test_a_refunded_call_does_not_count_for_the_rate():
    meter, now = FeedbackMeter(F), 0
    for number in range(50):
        meter.take(number * SECOND_NS // 10, 1)
        if number % 2:
            meter.refund(number * SECOND_NS // 10, 1)
            now = number * SECOND_NS // 10
    meter.shrink(now, now)
    assert meter.rate == pytest.approx(0.7 * 5, rel=0.05)


def test_an_operator_ends_cooldown_and_rate():
    """RC-10."""
    meter, now = busy()
    meter.shrink(now, now)
    meter.cool(now + 500)
    meter.warm()
    assert meter.earliest(now, 1) <= now


def test_a_cooldown_or_rate_is_not_forgotten():
    meter = FeedbackMeter(F)
    assert meter.idle(MEASURE_NS + 1)
    meter.cool(10 * MEASURE_NS)
    assert not meter.idle(10 * MEASURE_NS - 1)
    assert meter.idle(10 * MEASURE_NS)
    meter.shrink(10 * MEASURE_NS, 10 * MEASURE_NS)
    assert not meter.idle(20 * MEASURE_NS)


def test_what_refusals_taught_is_dumped_and_loaded():
    meter, now = busy()
    meter.shrink(now, now)
    meter.cool(now + 500)
    other = FeedbackMeter(F)
    other.load(meter.dump())
    assert other.dump() == meter.dump()
    assert (other.until, other.rate, other.earliest(now, 1)) == (meter.until, meter.rate, meter.earliest(now, 1))


def test_a_cooldown_is_in_use_until_it_ends():
    meter = FeedbackMeter(F)
    meter.cool(5)
    assert [meter.used(now) for now in (0, 4, 5)] == [1, 1, 0]
