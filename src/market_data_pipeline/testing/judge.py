"""The judge: whether a sequence of stream items keeps what the contract promises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from market_data_pipeline.contracts import Capabilities, StreamRequest
from market_data_pipeline.model import Batch, Connected, ControlEvent, Flag, Gap, Kind, Origin, Row
from market_data_pipeline.testing.row_rules import Finding, judge_row
from market_data_pipeline.testing.violation import Violation


def judge_stream(
    items: Iterable[object],
    *,
    request: StreamRequest,
    capabilities: Capabilities,
    negative_prices: bool = False,
    closed_at: int | None = None,
) -> list[Violation]:
    """Judge items as they came out of one source, from its beginning.

    Crossed quotes are no violation: markets are crossed at times.

    Args:
        items: What the source yielded; anything else than batches and control events is a violation too.
        request: What it was asked for.
        capabilities: What it declares.
        negative_prices: Whether a price below zero can be real, as that of a spread.
        closed_at: How many items there were when the source was closed.

    Returns:
        What is wrong, in the order of the stream; one violation per code and symbol, the first.
    """
    judge = _Judge(request, capabilities, negative_prices)
    found: dict[tuple[str, str | None], Violation] = {}
    for index, item in enumerate(items):
        late = [_AFTER_CLOSE] if closed_at is not None and index >= closed_at else []
        for code, symbol, seen, cure in (*late, *judge.item(item)):
            violation = Violation(code=code, index=index, symbol=symbol, seen=seen, cure=cure)
            found.setdefault((code, symbol), violation)
    return list(found.values())


_AFTER_CLOSE: Finding = ("after-close", None, "it came after close()", "look at the closed flag before every yield")


@attrs.define
class _Judge:
    """What is remembered of the items so far."""

    request: StreamRequest
    capabilities: Capabilities
    negative_prices: bool
    times: dict[tuple[Origin, Kind, str], int] = attrs.field(factory=dict)
    ordinals: dict[tuple[str, int, Kind], set[int]] = attrs.field(factory=dict)
    last: dict[tuple[str, int, Kind], int] = attrs.field(factory=dict)
    epochs: dict[str, int] = attrs.field(factory=dict)
    origins: set[Origin] = attrs.field(factory=set)

    def item(self, item: object) -> Iterator[Finding]:
        if isinstance(item, Batch):
            yield from self.batch(item)
        elif isinstance(item, ControlEvent):
            yield from self.event(item)
        else:
            yield "type", None, f"{type(item).__name__} is no stream item", "yield batches and control events"

    def event(self, event: ControlEvent) -> Iterator[Finding]:
        if isinstance(event, Connected) and event.origin in self.origins:
            yield "connected", None, f"Connected behind rows of {event.origin}", "yield it first, with a new epoch"
        if isinstance(event, Gap) and not 0 <= event.start < event.end:
            yield "gap", None, f"[{event.start}, {event.end}) is empty", "a gap has 0 <= start < end, int ns"

    def batch(self, batch: Batch[Row]) -> Iterator[Finding]:
        try:
            rows: tuple[Row, ...] = batch.rows
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            yield "faces", None, f"columns that make no rows: {error}", "check lengths, codes and types of the columns"
            return
        yield from self.origin(batch)
        if batch.position is not None and not self.capabilities.resumable:
            yield "position", None, f"position {batch.position!r}", "leave it None, or declare resumable"
        broken = False
        for row in rows:
            for finding in judge_row(row, batch, negative_prices=self.negative_prices):
                broken = True
                yield finding
            yield from self.asked(row)
            yield from self.order(row)
        if not broken:
            yield from _columns(batch)

    def origin(self, batch: Batch[Row]) -> Iterator[Finding]:
        origin = batch.origin
        self.origins.add(origin)
        if origin.mode not in self.capabilities.modes:
            yield "mode", None, f"mode {origin.mode!r} is not declared", "add it to Capabilities.modes"
        if origin.source == origin.provider:  # what was recorded may interleave connections
            if origin.epoch < self.epochs.get(origin.provider, origin.epoch):
                yield "epoch", None, f"epoch {origin.epoch} goes back", "take services.epoch() for each connection"
            self.epochs[origin.provider] = max(origin.epoch, self.epochs.get(origin.provider, origin.epoch))
        if batch.kind not in self.capabilities.kinds:
            yield "undeclared-kind", None, f"{batch.kind} is not declared", "add it to Capabilities.kinds"
        elif batch.kind not in self.request.kinds:
            yield "unasked-kind", None, f"{batch.kind} was not asked for", "yield the kinds of the request alone"

    def asked(self, row: Row) -> Iterator[Finding]:
        if self.request.symbols and row.symbol not in self.request.symbols:
            cure = "give back the very string of the request, and drop all others"
            yield "unasked-symbol", str(row.symbol), "nobody asked for it", cure

    def order(self, row: Row) -> Iterator[Finding]:
        place = (row.origin.provider, row.origin.epoch, row.kind)
        seen = self.ordinals.setdefault(place, set())
        if row.ordinal in seen:
            yield "duplicate", row.symbol, f"ordinal {row.ordinal} was there already", "give each row an ordinal"
        elif row.ordinal < self.last.get(place, row.ordinal):
            yield "ordinal", row.symbol, f"ordinal {row.ordinal} goes back", "count up within an epoch"
        seen.add(row.ordinal)
        self.last[place] = row.ordinal
        key = (row.origin, row.kind, row.symbol)
        last = self.times.get(key)
        if last is not None and row.ts_event < last and not row.flags & Flag.OUT_OF_ORDER:
            seen_text = f"ts_event {row.ts_event} is {last - row.ts_event} ns before the row in front of it"
            yield "time-order", row.symbol, seen_text, "sort, or flag such a row OUT_OF_ORDER"
        self.times[key] = row.ts_event if last is None else max(last, row.ts_event)


def _columns(batch: Batch[Row]) -> Iterator[Finding]:
    try:
        length = len(batch.columns)
    except (TypeError, ValueError, OverflowError) as error:
        yield "faces", None, f"rows that make no columns: {error}", "use the types of the row's fields"
    else:
        if length != len(batch.rows):
            yield "faces", None, f"{len(batch.rows)} rows, {length} in columns", "make both faces of the same rows"
