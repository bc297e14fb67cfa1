"""The time of a store that outlives processes and reboots, made of monotonic clocks alone."""

from __future__ import annotations

from typing import Final

import attrs

from market_data_pipeline.contracts.budget import SECOND_NS

BACK_NS: Final = 60 * SECOND_NS
"""By how much a monotonic clock may seem to go back before that is taken for a reboot."""


@attrs.frozen
class StoreTime:
    """The time of a store when somebody last took from it; all in ns.

    Store time is monotonic time plus an offset. While the machine is up, all its processes read one monotonic clock, so
    that what passes is exact. A reboot sets that clock back to nought: then store time goes on from where it was, plus
    the time since the boot. What passed between the last use and the boot is not counted, and neither is it where the
    new clock is already beyond the old one. So a reboot, or the computer's sleep, may only make it slow: what was used
    counts longer than it must, never shorter. The wall clock is not read, so that setting it changes nothing.

    A clock that goes back by no more than `BACK_NS` is no reboot: store time stands still until it has caught up. That
    is safe after a reboot too.
    """

    offset: int = 0
    mono: int = 0
    """The last monotonic time."""
    now: int = 0
    """The last store time."""

    def at(self, mono: int) -> StoreTime:
        """Return the time when the monotonic clock shows `mono`; it never goes back."""
        if mono >= self.mono - BACK_NS:
            return StoreTime(self.offset, max(mono, self.mono), max(self.now, mono + self.offset))
        return StoreTime(self.now, mono, self.now + mono)
