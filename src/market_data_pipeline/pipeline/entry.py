"""Where a pipeline begins: late rows are put aside, and the watermark is made.

The watermark is the greatest `ts_event` so far less the allowed lateness. Whether a row is late is decided row by row,
so that neither the cuts between batches nor their face change anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from market_data_pipeline.model import END_OF_TIME, Batch, Diverted, Row, StreamItem, Watermark

FUTURE_NS = 5_000_000_000
"""A row whose `ts_event` is further beyond its own `ts_recv` does not move the watermark."""

_NEVER = -(2**63)


class Entry:
    """Makes the watermarks of one pipeline, and counts its late rows."""

    def __init__(self, source: str, lateness_ns: int) -> None:
        self.source: str = source
        self.lateness_ns: int = lateness_ns
        self.newest: int = _NEVER
        """The greatest `ts_event` that counts, int ns."""
        self.late: int = 0
        """How many rows were late."""
        self.ts_recv: int = 0
        """That of the newest batch's last row."""

    @property
    def watermark(self) -> int | None:
        """No row with an earlier `ts_event` gets through any more, int ns; None before the first row."""
        return None if self.newest == _NEVER else self.newest - self.lateness_ns

    def take(self, batch: Batch[Row]) -> Iterator[StreamItem]:
        """Yield the rows that are in time, those that are late as `Diverted`, and the watermark if it moved."""
        before = self.newest
        late = self._late_in_columns(batch) if batch.born == "columns" else self._late_in_rows(batch)
        if not late:
            yield batch
        else:
            self.late += len(late)
            gone = set(late)
            if len(gone) < len(batch):
                yield batch.select([index for index in range(len(batch)) if index not in gone])
            yield Diverted(source=self.source, ts=self.ts_recv, batch=batch.select(late), reason="late")
        if self.newest > before:
            yield Watermark(source=self.source, ts=self.ts_recv, ts_event=self.newest - self.lateness_ns)

    def end(self) -> Watermark:
        """Return the watermark of a stream that came to its own end: nothing is waited for any more."""
        return Watermark(source=self.source, ts=self.ts_recv, ts_event=END_OF_TIME)

    def _in_order(self, first: int, last: int) -> bool:
        """Return whether rows sorted by `ts_event` are all in time, by the ends alone; if so, move the newest."""
        if first < self.newest - self.lateness_ns or last > self.ts_recv + FUTURE_NS:
            return False
        self.newest = max(self.newest, last)
        return True

    def _late_in_rows(self, batch: Batch[Row]) -> list[int]:
        rows = batch.rows
        self.ts_recv = rows[-1].ts_recv
        stamps = [row.ts_event for row in rows]
        if stamps == sorted(stamps) and self._in_order(stamps[0], stamps[-1]):
            return []
        newest, floor = self.newest, self.newest - self.lateness_ns
        late = []
        for index, row in enumerate(rows):
            ts_event = stamps[index]
            if ts_event > newest:
                if ts_event <= row.ts_recv + FUTURE_NS:
                    newest = ts_event
                    floor = newest - self.lateness_ns
            elif ts_event < floor:
                late.append(index)
        self.newest = newest
        return late

    def _late_in_columns(self, batch: Batch[Row]) -> list[int]:
        import numpy as np

        ts_event, ts_recv = batch.columns["ts_event"], batch.columns["ts_recv"]
        self.ts_recv = int(ts_recv[-1])
        if (ts_event[1:] >= ts_event[:-1]).all() and self._in_order(int(ts_event[0]), int(ts_event[-1])):
            return []
        moves = ts_event <= ts_recv + FUTURE_NS
        counted = ts_event if moves.all() else np.where(moves, ts_event, _NEVER)
        before, self.newest = self.newest, max(self.newest, int(counted.max()))
        if self.newest == _NEVER or int(ts_event.min()) >= self.newest - self.lateness_ns:
            return []
        running = np.maximum(np.maximum.accumulate(counted), before)
        floor = np.where(running > _NEVER + self.lateness_ns, running - self.lateness_ns, _NEVER)
        late: list[int] = np.flatnonzero(ts_event < floor).tolist()
        return late
