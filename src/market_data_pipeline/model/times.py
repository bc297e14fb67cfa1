"""Times and intervals as people write them, to int nanoseconds and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from market_data_pipeline.errors import ConfigurationError

TimeLike = datetime | str | int
"""An aware datetime, ISO 8601 text with an offset, or int ns since the epoch."""

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_INTERVAL = re.compile(rf"(\d{{1,19}})({'|'.join(_UNITS)})", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_BELOW_MICROS = re.compile(r"(?<=[.,]\d{6})\d+", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = 2**63
_HOW = "write it as 2026-11-23T14:30:00+00:00, or as int nanoseconds"
# The text of a smaller number is rather a date without dashes, or counts seconds, milli- or microseconds.
_LEAST_TEXT = 10**17


def parse_time(value: TimeLike) -> int:
    """Return a time as int ns since the epoch, UTC; a second has up to nine decimals.

    Raises:
        ConfigurationError: A naive datetime, text without an offset, a time that int64 cannot hold, or no time at all.
    """
    if isinstance(value, str):
        nanos = _parse_text(value)
    elif isinstance(value, datetime):
        nanos = _since_epoch(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        nanos = value
    else:
        raise ConfigurationError(f"{value!r} is not a time: {_HOW}")
    if not -_INT64 <= nanos < _INT64:
        raise ConfigurationError(f"{value!s:.60} is too far: times reach from 1677-09-21 to 2262-04-11")
    return nanos


def parse_interval(value: str | timedelta | int) -> int:
    """Return an interval, such as "1s", "5m", "1h", "1d", a timedelta or int ns, as int ns.

    Raises:
        ConfigurationError: Not an interval, not a positive one, or one that int64 cannot hold.
    """
    if isinstance(value, timedelta):
        nanos = _nanos(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        nanos = value
    elif isinstance(value, str) and (match := _INTERVAL.fullmatch(value)):
        nanos = int(match[1]) * _UNITS[match[2]]
    else:
        raise ConfigurationError(f"{value!r} is not an interval: write it as 1s, 5m, 1h or 1d")
    if not 0 < nanos < _INT64:
        raise ConfigurationError(f"{value!s:.60} is no interval: it is longer than nothing and shorter than 292 years")
    return nanos


def format_interval(nanos: int) -> str:
    """Return an interval in its largest whole unit, such as "1m", "90s" or "250ms"; `parse_interval` reads it."""
    unit, size = next((unit, size) for unit, size in reversed(_UNITS.items()) if nanos % size == 0)
    return f"{nanos // size}{unit}"


def _parse_text(text: str) -> int:
    if _INTEGER.fullmatch(text):
        if 0 < abs(int(text)) < _LEAST_TEXT:
            raise ConfigurationError(f"{text!r} would be a time near 1970: {_HOW}, which have 18 or 19 digits")
        return int(text)
    below = "".join(_BELOW_MICROS.findall(text)[:1])
    try:
        time = datetime.fromisoformat(_BELOW_MICROS.sub("", text, count=1))
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is not a time: {_HOW}") from error
    if below[3:].strip("0"):
        raise ConfigurationError(f"{text!r} has more than nine decimals of a second: times are kept in nanoseconds")
    return _since_epoch(time) + int(below[:3].ljust(3, "0"))


def _since_epoch(time: datetime) -> int:
    if time.tzinfo is None:
        raise ConfigurationError(f"{time.isoformat()} has no time zone: add an offset, such as +00:00 or Z")
    return _nanos(time - _EPOCH)


def _nanos(delta: timedelta) -> int:
    micros = (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    return micros * 1_000 + getattr(delta, "nanoseconds", 0)  # which those of pandas have
