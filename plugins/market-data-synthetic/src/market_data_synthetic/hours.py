"""The shape of a day by the UTC hour: that of a New York session from 14:30 to 21:00.

Spreads are widest at the opening and in the night; volume is highest at the opening and the close, lower in between.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from market_data_synthetic.noise import Ints

_HOUR_NS: Final = 3_600_000_000_000

SPREAD: Final[Ints] = np.array([6, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 5, 8, 4, 3, 2, 2, 2, 3, 5, 6, 6], np.int64)
"""The widest spread of each hour, in ticks; spreads are drawn evenly from 1 on."""

VOLUME: Final[Ints] = np.array([1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 4, 16, 10, 6, 4, 4, 8, 16, 4, 2, 1], np.int64)
"""The greatest size of each hour, in round lots: quotes are drawn evenly up to it, trades are a quarter on average."""


def hour_of(time: Ints) -> Ints:
    """Return the hour of the day in UTC of times, int ns."""
    return time // _HOUR_NS % 24
