"""A bar that can still get rows: the state that both folds keep, hand to each other, and snapshot."""

from __future__ import annotations

from math import nan

import attrs

from market_data_pipeline.model import SCALE, Flag, Row

KEPT = int(Flag.TS_EVENT_IS_RECV | Flag.TS_RECV_IS_EVENT | Flag.INEXACT_PX)
"""The flags of a row that are true of its bar too: what they say of one price or time, they say of the bar's."""
PROVISIONAL = 1 << 29
"""In `OpenBar.flags`: a bar that is not final went in."""
INCOMPLETE = 1 << 30
"""In `OpenBar.flags`: a bar that is not complete went in."""


@attrs.define(eq=False)
class OpenBar:
    """What the rows of one symbol and interval make so far; prices at 1e-9, times in ns."""

    symbol: str
    start: int
    end: int
    open_ts: int
    """The smallest `ts_event`; of equal ones, that of the row that came first."""
    open_px: int
    high_px: int
    low_px: int
    close_ts: int
    """The greatest `ts_event`; of equal ones, that of the row that came last."""
    close_px: int
    last: Row
    """The row of `close_ts`, or what is known of it."""
    volume: float = 0.0
    notional: float = 0.0
    """Price at 1e-9 times size, added from left to right; NaN where a volume came without a price."""
    trades: int = 0
    flags: int = 0
    """All rows' flags, and the two above."""

    @property
    def vwap(self) -> float | None:
        """The price per unit of volume; None without volume, or if part of it has no price."""
        vwap = self.notional / self.volume / SCALE if self.volume else nan
        return None if vwap != vwap else vwap  # noqa: PLR0124 - NaN is what differs from itself
