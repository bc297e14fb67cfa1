"""Which option contracts are listed at a time: weekly and monthly expiries, and a grid of strikes around the spot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from market_data_synthetic.osi import CENTURY, MAX_MILLS, MILL

WEEKLIES = 8
"""So many Fridays ahead are expiries."""
MONTHLIES = 12
"""And the third Fridays of so many months ahead, the present one included."""
STRIKES = 20
"""So many strikes are listed on each side of the one next to the spot."""

_FRIDAY = 4
_EXPIRY_HOUR = 21
_STEPS = [1, 5, *(factor * 10**power for power in range(7) for factor in (10, 25, 50))]
_NS = 1_000_000_000


def expiry_time(expiry: date) -> int:
    """Return when contracts of that day expire, int ns: 21:00 UTC, the close of the session in `hours`."""
    return int(datetime(expiry.year, expiry.month, expiry.day, _EXPIRY_HOUR, tzinfo=UTC).timestamp()) * _NS


def expiries(time: int) -> Sequence[date]:
    """Return the expiries that are ahead at a time, in order; none in a year that no symbol can hold."""
    today = datetime.fromtimestamp(time // _NS, UTC).date()
    first = today + timedelta((_FRIDAY - today.weekday()) % 7)
    if expiry_time(first) <= time:
        first += timedelta(7)
    weeklies = {first + timedelta(7 * week) for week in range(WEEKLIES)}
    months = [today.year * 12 + today.month - 1 + number for number in range(MONTHLIES)]
    monthlies = {_third_friday(month // 12, month % 12 + 1) for month in months}
    ahead = weeklies | {day for day in monthlies if day >= first}
    return sorted(day for day in ahead if CENTURY <= day.year < CENTURY + 100)


def strikes(spot_px: int) -> Sequence[int]:
    """Return the strikes around a spot, at 1e-9, in order.

    They are multiples of 1, 2.5 or 5 times a power of ten, 1 % to 2.5 % of the spot apart. Strikes that no symbol can
    hold are not listed, so that there may be none.
    """
    spot = spot_px // MILL
    if not spot:
        return ()
    step = max((step for step in _STEPS if 40 * step <= spot), default=1)
    middle = (spot + step // 2) // step
    mills = (number * step for number in range(max(1, middle - STRIKES), middle + STRIKES + 1))
    return [strike * MILL for strike in mills if strike <= MAX_MILLS]


def _third_friday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta((_FRIDAY - first.weekday()) % 7 + 14)
