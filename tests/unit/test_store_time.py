"""The time of a store over reboots and clocks that differ a little (RC-2, RC-5)."""

from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.pacing.store_time import BACK_NS, StoreTime

SECOND = 1_000_000_000
spans = st.integers(0, 10**6 * SECOND)


def test_while_the_machine_is_up_what_passes_is_exact():
    time = StoreTime().at(5).at(7 * SECOND)
    assert time.at(10 * SECOND + 3).now - time.now == 3 * SECOND + 3


def test_a_reboot_adds_the_time_since_the_boot():
    """What passed in between is unknown, and not needed to be safe."""
    before = StoreTime().at(900 * SECOND)
    after = before.at(20 * SECOND)
    assert after.now - before.now == 20 * SECOND
    assert after.at(21 * SECOND).now - after.now == SECOND


def test_a_clock_that_shows_a_little_less_changes_nothing():
    """Two processes read the clock one after the other, and take in the other order."""
    time = StoreTime().at(900 * SECOND)
    assert time.at(900 * SECOND - BACK_NS) == time
    assert time.at(900 * SECOND - 1).at(901 * SECOND).now == 901 * SECOND


def test_a_reboot_long_after_the_last_use_may_look_like_none_and_is_safe():
    before = StoreTime().at(10 * SECOND)
    assert before.at(30 * SECOND).now - before.now == 20 * SECOND  # in truth at least 30 s


@given(st.lists(st.tuples(st.booleans(), spans, spans), max_size=20), spans)
def test_store_time_never_goes_back_and_never_runs_faster_than_time(steps, uptime):
    """Each step is some time in which the machine stays up, or a reboot with a time without power and one since."""
    mono, real = uptime, 0
    time = first = StoreTime().at(mono)
    for reboots, span, off in steps:
        real += span + (off if reboots else 0)
        mono = span if reboots else mono + span
        then = time.at(mono)
        assert then.now >= time.now
        assert then.now - first.now <= real
        if not reboots and mono - span >= time.mono:
            assert then.now - time.now == span
        time = then
