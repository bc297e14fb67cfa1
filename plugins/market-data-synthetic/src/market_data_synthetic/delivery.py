"""What comes of a run whose connection has faults: of its pieces, and of what is said about the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from market_data_pipeline.errors import ConnectionLost
from market_data_pipeline.model import ControlEvent, Origin
from market_data_synthetic.disorder import LateRows, repeated, stamped
from market_data_synthetic.faults import FaultSettings
from market_data_synthetic.outages import Breaks, Episodes, Gaps
from market_data_synthetic.pieces import Piece


@attrs.define
class Delivery:
    """The faults of one run. Each of its pieces has to be wholly inside or outside of any window."""

    stalls: Episodes | None
    breaks: Breaks | None
    failures: Episodes | None
    gaps: Gaps | None
    late: LateRows | None
    duplicate: int | None

    @classmethod
    def of(cls, settings: FaultSettings, symbols: int, connect: Callable[[int], Origin], began: int | None) -> Delivery:
        """Return what the settings want; the rest is as in `Breaks`."""
        windows, late = settings.windows, settings.late
        stall, lost, gap = windows.get("stall"), windows.get("disconnect"), windows.get("gap")
        return cls(
            stalls=Episodes(stall) if stall else None,
            breaks=Breaks(lost, connect, began) if lost and settings.fault_reconnect else None,
            failures=Episodes(lost) if lost and not settings.fault_reconnect else None,
            gaps=Gaps(gap, settings.fault_gap_silent) if gap else None,
            late=LateRows(late, symbols, is_flagged=settings.fault_late_flagged) if late else None,
            duplicate=settings.fault_duplicate,
        )

    def pause(self, piece: Piece) -> int:
        """Return for how long nothing comes before a piece, ns on the clock."""
        return self.stalls.window.length if self.stalls and self.stalls.begins(piece.time) else 0

    def take(self, piece: Piece, now: int) -> Iterator[Piece | ControlEvent]:
        """Yield what comes of a piece, and what is said before it.

        Raises:
            ConnectionLost: It is the first in a window in which the connection is lost for good.
        """
        if self.failures and self.failures.begins(piece.time):
            raise ConnectionLost("synthetic lost its connection, as fault_disconnect has it", source="synthetic")
        if self.breaks:
            yield from self.breaks.take(piece.time, now)
            if self.breaks.is_lost:
                return
        if self.gaps:
            yield from self.gaps.take(piece.time, len(piece), now)
            if self.gaps.is_open:
                return
        if self.late or self.duplicate:
            piece = stamped(piece)
        if self.late:
            piece = self.late.take(piece)
        if self.duplicate:
            piece = repeated(piece, self.duplicate)
        if len(piece):
            yield piece

    def release(self, symbols: int) -> Iterator[Piece]:
        """Yield the rows that are held back, since none or others of so many symbols follow."""
        if self.late:
            yield from self.late.finish(symbols)

    def finish(self, now: int) -> Iterator[Piece | ControlEvent]:
        """Yield what is still to come at the end of a run."""
        if self.gaps:
            yield from self.gaps.close(now)
        yield from self.release(0)
