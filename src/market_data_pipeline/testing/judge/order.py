"""What rows tell together: their order, their identities, and the generations of their connections."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import attrs

from market_data_pipeline.model import Bar, Flag, Origin, Row
from market_data_pipeline.testing.judge.rows import Finding


@attrs.define
class Order:
    """What was seen of a stream so far."""

    _times: dict[Hashable, int] = attrs.field(factory=dict)
    """The newest `ts_event` of each symbol and kind."""
    _ordinals: dict[Hashable, int] = attrs.field(factory=dict)
    _identities: set[Hashable] = attrs.field(factory=set)
    _epochs: dict[Hashable, dict[int, None]] = attrs.field(factory=dict)
    """Those of each provider and mode, the one that came last behind all others."""
    _announced: set[Origin] = attrs.field(factory=set)

    def connected(self, origin: Origin) -> Iterator[Finding]:
        """Yield what is wrong with an origin that is announced."""
        if origin in self._announced:
            yield "epoch", f"epoch {origin.epoch} of {origin.provider} is connected for the second time"
        self._announced.add(origin)
        yield from self.origin(origin)

    def origin(self, origin: Origin) -> Iterator[Finding]:
        """Yield what is wrong with the origin of a batch."""
        key = origin.provider, origin.mode
        epochs = self._epochs.setdefault(key, {})
        if origin.epoch in epochs and origin.epoch != (last := next(reversed(epochs))):
            yield "epoch", f"epoch {origin.epoch} of {origin.provider} comes again after epoch {last}"
        epochs.pop(origin.epoch, None)
        epochs[origin.epoch] = None

    def row(self, row: Row) -> Iterator[Finding]:
        """Yield what is wrong with the place of a row."""
        identity = _identity(row)
        if identity in self._identities:
            yield "duplicate", f"{identity} came before"
            return
        self._identities.add(identity)
        if row.flags & Flag.OUT_OF_ORDER:
            return
        yield from self._time(row)
        if not isinstance(row, Bar):
            yield from self._ordinal(row)

    def _time(self, row: Row) -> Iterator[Finding]:
        key: tuple[Hashable, ...] = (row.origin.provider, row.origin.mode, row.kind, row.symbol)
        if isinstance(row, Bar):
            if row.revision or not row.is_final:
                return
            key += (row.basis, row.end - row.start)
        newest = self._times.get(key, row.ts_event)
        if row.ts_event < newest:
            yield "time-order", f"ts_event={row.ts_event} of {row.symbol} is {newest - row.ts_event} ns before the last"
        self._times[key] = max(newest, row.ts_event)

    def _ordinal(self, row: Row) -> Iterator[Finding]:
        key = row.origin.provider, row.origin.epoch
        newest = self._ordinals.get(key)
        if newest is not None and row.ordinal <= newest:
            yield "ordinal", f"ordinal={row.ordinal} after {newest}"
        self._ordinals[key] = row.ordinal if newest is None else max(newest, row.ordinal)


def _identity(row: Row) -> tuple[Hashable, ...]:
    if isinstance(row, Bar):
        return row.origin.provider, row.symbol, row.start, row.end, row.basis, row.revision, row.is_final
    return row.origin.provider, row.origin.epoch, row.kind, row.ordinal
