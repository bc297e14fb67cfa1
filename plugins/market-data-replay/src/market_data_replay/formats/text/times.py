"""Times as files write them, to int nanoseconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.errors import MalformedMessage
from market_data_replay.settings import ReplaySettings

_DECIMALS = {"ns": 0, "us": 3, "ms": 6, "s": 9}
"""How many decimals of a unit a nanosecond is."""
_INTEGER = r"^[+-]?\d+$"
_LEAST = 10**17
"""A smaller number rather counts another unit than nanoseconds."""

Array = Any


def to_nanos(texts: Array, settings: ReplaySettings, *, unit: str | None) -> Array:
    """Return times as int64 ns; null stays null.

    Args:
        texts: Strings.
        settings: The format and the zone of text.
        unit: What numbers count, "iso", or None for ISO text with an offset or int ns.

    Raises:
        MalformedMessage: One is no such time, or has more than nine decimals of a second.
        ArrowInvalid: Likewise.
    """
    if unit in _DECIMALS:
        return _scaled(texts, _DECIMALS[unit])
    if settings.time_format:
        return _from_format(texts, settings.time_format, settings.time_zone)
    if unit is None and settings.time_zone is None and pc.all(pc.match_substring_regex(texts, _INTEGER)).as_py():
        nanos = _scaled(texts, 0)
        if pc.any(pc.less(pc.abs(nanos), pa.scalar(_LEAST))).as_py():
            raise MalformedMessage("the number would be a time near 1970: say with time_unit what it counts")
        return nanos
    if settings.time_zone:
        return _in_zone(texts.cast(pa.timestamp("ns")), settings.time_zone)
    return texts.cast(pa.timestamp("ns", "UTC")).cast(pa.int64())


def _scaled(texts: Array, decimals: int) -> Array:
    """Return numbers with so many decimals as ints of their last one; exact."""
    if not decimals:
        return texts.cast(pa.int64())
    numbers = texts.cast(pa.decimal128(28, decimals))
    words = np.frombuffer(numbers.buffers()[1], "i8").reshape(-1, 2)[: len(numbers)]
    low, high = words[:, 0], words[:, 1]
    if (high != low >> 63).any():
        raise MalformedMessage("the time is beyond the years 1677 to 2262: say with time_unit what it counts")
    return pa.array(np.ascontiguousarray(low), mask=numbers.is_null().to_numpy(zero_copy_only=False))


def _from_format(texts: Array, code: str, zone: str | None) -> Array:
    try:
        times = [None if text is None else datetime.strptime(text, code) for text in texts.to_pylist()]  # noqa: DTZ007
    except ValueError as error:
        raise MalformedMessage(str(error)) from error
    if any(time is not None and time.tzinfo is None for time in times):
        return _in_zone(pa.array(times, pa.timestamp("us")).cast(pa.timestamp("ns")), str(zone))
    return pa.array(times, pa.timestamp("us", "UTC")).cast(pa.timestamp("ns", "UTC")).cast(pa.int64())


def _in_zone(times: Array, zone: str) -> Array:
    return pc.assume_timezone(times, zone, ambiguous="earliest", nonexistent="raise").cast(pa.int64())
