"""Bars made from shorter bars: which of them fit."""

from __future__ import annotations

from market_data_pipeline.errors import OperatorError
from market_data_pipeline.model import format_interval


def check_fit(start: int, end: int, interval: int) -> None:
    """Check that a bar of [start, end) lies in one interval, and that the interval is a whole number of such bars.

    Raises:
        OperatorError: It does not.
    """
    length = end - start
    if length > 0 and interval % length == 0 and start // interval == (end - 1) // interval:
        return
    found = f"a bar of {format_interval(length)}" if length > 0 else "an empty bar"
    raise OperatorError(
        f"{found} from {start} to {end} ns does not fit into bars of {format_interval(interval)}: "
        "choose an interval that is a whole multiple of the incoming bars, and starts and ends with them"
    )
