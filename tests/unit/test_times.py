"""Times and intervals as people write them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import END_OF_TIME, format_interval, parse_interval, parse_time

NOON = 1_763_899_200_000_000_000
"""2025-11-23T12:00:00Z."""


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        str(NOON),
        "2025-11-23T12:00:00Z",
        "2025-11-23 12:00Z",
        "2025-11-23T07:00:00-05:00",
        "20251123T120000+0000",
        datetime(2025, 11, 23, 12, tzinfo=UTC),
        datetime(2025, 11, 23, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
    ids=repr,
)
def test_one_time_has_many_forms(value):
    assert parse_time(value) == NOON


@pytest.mark.parametrize(
    ("fraction", "nanos"),
    [
        (".5", 500_000_000),
        (".123456", 123_456_000),
        (",1234567", 123_456_700),
        (".123456789", 123_456_789),
        (".123456789000", 123_456_789),
    ],
)
def test_text_is_exact_to_the_nanosecond(fraction, nanos):
    assert parse_time(f"2025-11-23T12:00:00{fraction}Z") == NOON + nanos
    assert parse_time(f"2025-11-23T14:00:00{fraction}+02:00") == NOON + nanos


def test_digits_below_the_nanosecond_are_refused_not_dropped():
    with pytest.raises(ConfigurationError, match="more than nine decimals"):
        parse_time("2025-11-23T12:00:00.1234567891Z")


@given(st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_datetime_and_its_text_are_the_same_time(time):
    assert parse_time(time.isoformat()) == parse_time(time)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=parse_time(time) // 1000) == time


def test_a_time_before_the_epoch_is_negative():
    assert parse_time("1969-12-31T23:59:59.999999999Z") == -1


def test_nanoseconds_of_a_richer_datetime_count():
    class Delta(timedelta):
        nanoseconds = 7

    class Stamp(datetime):
        def __sub__(self, other):
            plain = super().__sub__(other)
            return Delta(plain.days, plain.seconds, plain.microseconds)

    assert parse_time(Stamp(2025, 11, 23, 12, tzinfo=UTC)) == NOON + 7


@pytest.mark.parametrize("value", ["2025-11-23T12:00:00", "2025-11-23", datetime(2025, 11, 23)])  # noqa: DTZ001
def test_a_time_without_a_zone_is_refused(value):
    with pytest.raises(ConfigurationError, match=r"2025-11-23T.* has no time zone: add an offset"):
        parse_time(value)


@pytest.mark.parametrize("value", ["", "noon", "2025-13-01T00:00Z", "--5", "1e18", True, None, 1.5, date(2025, 11, 23)])
def test_what_is_no_time_is_refused_with_an_example(value):
    with pytest.raises(ConfigurationError, match="is not a time: write it as 2026-11-23T14:30:00") as error:
        parse_time(value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("value", ["20251123", "1763899200", "1763899200000", "-1763899200000000"])
def test_text_of_seconds_or_of_a_date_is_not_taken_for_nanoseconds(value):
    with pytest.raises(ConfigurationError, match="would be a time near 1970"):
        parse_time(value)


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, "9999999999999999999", "2262-04-12T00:00Z", datetime.max.replace(tzinfo=UTC)]
)
def test_a_time_that_no_column_can_hold_is_refused(value):
    with pytest.raises(ConfigurationError, match="times reach from 1677-09-21 to 2262-04-11"):
        parse_time(value)


def test_the_epoch_and_the_ends_of_int64_are_times():
    assert [parse_time(value) for value in ("0", 0, END_OF_TIME, -(2**63))] == [0, 0, END_OF_TIME, -(2**63)]


@pytest.mark.parametrize(
    ("value", "nanos"),
    [
        ("1s", 10**9),
        ("5m", 300 * 10**9),
        ("1h", 3_600 * 10**9),
        ("1d", 86_400 * 10**9),
        ("250ms", 250_000_000),
        (timedelta(minutes=1), 60 * 10**9),
        (60 * 10**9, 60 * 10**9),
    ],
)
def test_an_interval_has_many_forms(value, nanos):
    assert parse_interval(value) == nanos


@pytest.mark.parametrize("value", ["", "s", "1", "1 s", "1M", "1.5s", "-1s", "1min", "\uff11s", True, None, 1.5])
def test_what_is_no_interval_is_refused_with_an_example(value):
    with pytest.raises(ConfigurationError, match="is not an interval: write it as 1s, 5m, 1h or 1d") as error:
        parse_interval(value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("value", ["0s", 0, -1, timedelta(0), "9999999999999d"])
def test_an_interval_is_longer_than_nothing_and_fits_a_column(value):
    with pytest.raises(ConfigurationError, match="is no interval: it is longer than nothing"):
        parse_interval(value)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(60 * 10**9, "1m"), (90 * 10**9, "90s"), (3_600 * 10**9, "1h"), (86_400 * 10**9, "1d"), (1_500_000_000, "1500ms")],
)
def test_an_interval_is_named_by_its_largest_whole_unit(nanos, text):
    assert format_interval(nanos) == text


@given(st.integers(1, 2**63 - 1))
def test_an_interval_comes_back_from_its_name(nanos):
    assert parse_interval(format_interval(nanos)) == nanos
