"""What a caller asks: arguments in the caller's terms, and what is said of wrong ones."""

from datetime import UTC, date, datetime, timedelta

import pytest

from market_data_pipeline.contracts import BarsRequest, ChainRequest
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import to_px
from market_data_pipeline.orchestration.requests import bars_request, chain_request

MINUTE = 60_000_000_000


def bars(*, start=0, end=10 * MINUTE, interval="1m", basis="trade"):
    return bars_request("A", start=start, end=end, interval=interval, basis=basis)


def test_times_and_intervals_become_nanoseconds():
    expected = BarsRequest(symbol="A", start=0, end=10 * MINUTE, interval_ns=MINUTE)
    assert bars() == expected
    assert bars(start="1970-01-01T00:00Z", end=datetime(1970, 1, 1, 0, 10, tzinfo=UTC)) == expected
    assert bars(interval=timedelta(minutes=1)) == expected


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"start": 10 * MINUTE}, "start must be before end"),
        ({"interval": "soon"}, "is not an interval"),
        ({"basis": "ask_px"}, "'ask_px' is no basis of a bar; did you mean 'ask'"),
    ],
)
def test_wrong_bars_are_not_asked_for(wrong, said):
    with pytest.raises(ConfigurationError, match=said):
        bars(**wrong)


@pytest.mark.parametrize("day", ["2026-01-16", date(2026, 1, 16), datetime(2026, 1, 16, 9, tzinfo=UTC)])
def test_one_expiry_is_a_range_of_one(day):
    request = chain_request("A", expiries=day, strikes=None)
    assert request == ChainRequest(underlying="A", expiries=("2026-01-16", "2026-01-16"))


def test_ranges_have_both_ends():
    request = chain_request("A", expiries=("2026-01-16", date(2026, 2, 20)), strikes=("99.5", 110))
    assert request.expiries == ("2026-01-16", "2026-02-20")
    assert request.strikes == (to_px("99.5"), to_px(110))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"expiries": "16JAN26"}, "expiries: '16JAN26' is no date"),
        ({"expiries": 20260116}, "expiries: 20260116 is no range"),
        ({"expiries": ("2026-01-16", None)}, "expiries: None is no date"),
        ({"expiries": ("2026-01-16",)}, "expiries: .* is no range"),
        ({"expiries": ("2026-02-20", "2026-01-16")}, "expiries: the first is not after the last"),
        ({"strikes": 100}, "strikes: 100 is no range"),
        ({"strikes": (None, 100)}, "strikes: None is not a price"),
        ({"strikes": (110, 100)}, "strikes: the first is not after the last"),
    ],
)
def test_a_wrong_part_of_a_chain_is_not_asked_for(wrong, said):
    with pytest.raises(ConfigurationError, match=said):
        chain_request("A", **({"expiries": None, "strikes": None} | wrong))
