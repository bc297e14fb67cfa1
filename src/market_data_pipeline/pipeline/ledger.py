"""The ledger: row counts of one pipeline that always add up. Stages return counts; the ledger only adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from market_data_pipeline.contracts import Outcome
from market_data_pipeline.model import Batch, StreamItem


@attrs.define
class StageCounts:
    """What became of the rows that one operator was given."""

    name: str
    received: int = 0
    passed: int = 0
    folded: int = 0
    filtered: int = 0
    deduplicated: int = 0
    failed: int = 0
    created: int = 0

    def add(self, outcome: Outcome) -> None:
        """Add what an operator said of one batch or event."""
        self.passed += outcome.passed
        self.folded += outcome.folded
        self.filtered += outcome.filtered
        self.deduplicated += outcome.deduplicated
        self.created += outcome.created

    @property
    def gone(self) -> int:
        """The rows of which it is known what became of them."""
        return self.passed + self.folded + self.filtered + self.deduplicated + self.failed


@attrs.define
class SinkCounts:
    """What became of the rows for one sink; `held` rows are with the batcher or not committed yet."""

    name: str
    received: int = 0
    delivered: int = 0
    held: int = 0
    dropped: Counter[str] = attrs.field(factory=Counter)


@attrs.define
class Ledger:
    """Three equations, each true whenever the loop looks (L-1).

    Entry: received = accepted + queued + dropped. Operators: what the first is given is accepted - late, and
    received = passed + folded + filtered + deduplicated + failed. Sinks: received = delivered + held + dropped.
    """

    received: int = 0
    accepted: int = 0
    queued: int = 0
    late: int = 0
    dropped: Counter[str] = attrs.field(factory=Counter)
    operators: list[StageCounts] = attrs.field(factory=list)
    sinks: list[SinkCounts] = attrs.field(factory=list)

    def mismatches(self) -> list[str]:
        """Return every equation that does not hold, in words; none is as it must be."""
        return [
            f"{where}: {left} rows went in, {right} are accounted for"
            for where, left, right in self._equations()
            if left != right
        ]

    def _equations(self) -> Iterator[tuple[str, int, int]]:
        yield "entry", self.received, self.accepted + self.queued + self.dropped.total()
        rows = self.accepted - self.late
        for stage in self.operators:
            yield f"operator {stage.name}, input", rows, stage.received
            yield f"operator {stage.name}", stage.received, stage.gone
            rows = stage.passed + stage.created
        for sink in self.sinks:
            yield f"sink {sink.name}, input", rows, sink.received
            yield f"sink {sink.name}", sink.received, sink.delivered + sink.held + sink.dropped.total()

    def undelivered(self) -> int:
        """Return how many rows were taken over and are with no sink's commit: queued, or held by the slowest sink."""
        return self.queued + max((sink.held for sink in self.sinks), default=0)

    def as_dict(self) -> dict[str, Any]:
        """Return all counts as plain data."""
        return attrs.asdict(self, value_serializer=lambda _, __, v: dict(v) if isinstance(v, Counter) else v)


def count_rows(items: Iterable[StreamItem]) -> int:
    """Return how many rows there are in the batches among `items`."""
    rows = 0
    for item in items:  # a generator would cost more than what it counts: it is called for every batch at every stage
        if isinstance(item, Batch):
            rows += len(item)
    return rows
