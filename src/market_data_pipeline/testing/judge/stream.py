"""The judge of a stream: a pure function of what came, of what was asked for and of what is declared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import attrs
import msgspec

from market_data_pipeline.contracts import Capabilities, StreamRequest
from market_data_pipeline.model import Batch, Connected, ControlEvent, Origin, Row, StreamItem
from market_data_pipeline.testing.judge.events import event_findings
from market_data_pipeline.testing.judge.order import Order
from market_data_pipeline.testing.judge.rows import Finding, row_findings, type_findings
from market_data_pipeline.testing.judge.violation import Violation


def judge_stream(
    items: Iterable[StreamItem],
    *,
    request: StreamRequest,
    capabilities: Capabilities,
    tolerate: Collection[str] = (),
) -> list[Violation]:
    """Judge what a source yielded, from its first item on.

    Args:
        items: The items, in order.
        request: What was asked for.
        capabilities: What the source declares.
        tolerate: Names of rules that may be broken, such as "duplicate" of a source that says that rows may come twice.

    Returns:
        Each place in which a rule of `RULES` is broken, in order; none where all is well.
    """
    judge = _Judge(request, capabilities)
    return [
        violation for index, item in enumerate(items) for violation in judge.item(index, item)
        if violation.name not in tolerate
    ]  # fmt: skip


@attrs.frozen
class _Judge:
    """Goes through the items of one stream."""

    request: StreamRequest
    capabilities: Capabilities
    order: Order = attrs.field(factory=Order)

    def item(self, index: int, item: object) -> Iterator[Violation]:
        """Yield what is wrong with an item."""
        if isinstance(item, Batch):
            yield from self._batch(f"item {index}", item)
        elif isinstance(item, ControlEvent):
            for name, seen in self._event(item):
                yield Violation.of(name, f"item {index}", seen)
        else:
            yield Violation.of("item", f"item {index}", f"a {type(item).__name__}: {item!r:.60}")

    def _event(self, event: ControlEvent) -> Iterator[Finding]:
        wrong = list(event_findings(event))
        yield from wrong
        if wrong:
            return
        if event.symbols and self.request.symbols and (strange := event.symbols - {*self.request.symbols}):
            yield "symbol", f"a {type(event).__name__} of {', '.join(sorted(strange))}"
        if isinstance(event, Connected):
            yield from self._mode(event.origin)
            yield from self.order.connected(event.origin)

    def _batch(self, where: str, batch: Batch[Row]) -> Iterator[Violation]:
        whole = [*self._kind(batch), *self._origin(batch.origin)]
        if batch.position is not None and not self.capabilities.resumable:
            whole.append(("position", f"position={batch.position!r:.60}, and the source is not resumable"))
        for name, seen in whole:
            yield Violation.of(name, where, seen)
        is_typed = True
        for number, row in enumerate(batch.rows):
            for name, seen in self._row(batch, row):
                is_typed = is_typed and name not in {"type", "origin", "price-bound"}
                yield Violation.of(name, f"{where}, row {number}", seen)
        if is_typed:
            for name, seen in _faces(batch):
                yield Violation.of(name, where, seen)

    def _kind(self, batch: Batch[Row]) -> Iterator[Finding]:
        if batch.kind not in self.request.kinds:
            yield "kind", f"a {batch.kind}, and {', '.join(sorted(self.request.kinds))} was asked for"
        elif batch.kind not in self.capabilities.kinds:
            yield "undeclared-kind", f"a {batch.kind}"

    def _origin(self, origin: Any) -> Iterator[Finding]:
        if not isinstance(origin, Origin):
            yield "origin", f"its origin is {origin!r:.60}"
        elif wrong := list(type_findings(origin)):
            yield from wrong
        else:
            yield from self._mode(origin)
            yield from self.order.origin(origin)

    def _mode(self, origin: Origin) -> Iterator[Finding]:
        if origin.mode not in self.capabilities.modes:
            yield "mode", f"{origin.mode!r}, and {', '.join(sorted(self.capabilities.modes))} is declared"

    def _row(self, batch: Batch[Row], row: Row) -> Iterator[Finding]:
        if type(row) is not batch.row_type:
            yield "type", f"a {type(row).__name__} in a {type(batch).__name__}"
            return
        if row.origin != batch.origin:
            yield "origin", f"{row.origin} in a batch of {batch.origin}"
            return
        wrong = list(row_findings(row))
        yield from wrong
        if any(name == "type" for name, _ in wrong):
            return
        if self.request.symbols and row.symbol not in self.request.symbols:
            yield "symbol", f"{row.symbol}, and {', '.join(self.request.symbols)} was asked for"
        yield from self.order.row(row)


def _faces(batch: Batch[Row]) -> Iterator[Finding]:
    """Yield whether the two faces say different things."""
    try:
        columns = batch.columns
        turned = type(batch).from_columns(columns, batch.origin).rows
    except (ValueError, TypeError, OverflowError) as error:
        yield "faces", f"its columns cannot be made: {error}"
        return
    if len(columns) != len(batch) or len(batch.rows) != len(batch):
        yield "faces", f"{len(batch.rows)} rows, {len(columns)} in columns, {len(batch)} in all"
    elif index := next((at for at, pair in enumerate(zip(batch.rows, turned, strict=True), 1) if _differ(*pair)), 0):
        yield (
            "faces",
            f"row {index - 1} is {turned[index - 1]!r:.200} in columns, {batch.rows[index - 1]!r:.200} in rows",
        )


def _differ(row: Row, other: Row) -> bool:
    """Return whether two rows differ, which two NaN do not."""
    return row != other and msgspec.json.encode(_plain(row)) != msgspec.json.encode(_plain(other))


def _plain(row: Row) -> list[object]:
    return [getattr(row, name) for name in row.__struct_fields__ if name not in {"flags", "origin"}]
