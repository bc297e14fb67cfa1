"""Which symbol an instrument id stands for, on which day."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, time
from typing import Any

from market_data_pipeline.model import END_OF_TIME

Span = tuple[int, int, str]
"""From a time to another one, int ns, a symbol."""


class Symbols:
    """The mappings of a file's metadata, and those that come between its records, which hold until the next."""

    def __init__(self, metadata: Any) -> None:
        self._spans: dict[int, list[Span]] = {}
        by_id = str(metadata.stype_in) == "instrument_id"
        for key, intervals in metadata.mappings.items():
            for one in intervals:
                number, symbol = (key, one["symbol"]) if by_id else (one["symbol"], key)
                if number.isdecimal():
                    span = _nanos(one["start_date"]), _nanos(one["end_date"]), symbol
                    self._spans.setdefault(int(number), []).append(span)
        for spans in self._spans.values():
            spans.sort()

    def learn(self, record: Any) -> None:
        """Heed a record that maps an instrument id from now on."""
        symbol = record.stype_out_symbol or record.stype_in_symbol
        self._spans[record.instrument_id] = [(0, END_OF_TIME, symbol)]

    def of(self, number: int, ts: int) -> str:
        """Return the symbol of an instrument at a time; where the file does not tell, the id as text."""
        spans = self._spans.get(number, ())
        index = bisect_right(spans, ts, key=lambda span: span[0]) - 1
        return spans[index][2] if index >= 0 and ts < spans[index][1] else str(number)


def _nanos(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000_000
