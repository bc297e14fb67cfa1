"""One operator in a pipeline: its counts, the check of what it says, and what happens to rows it cannot take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from market_data_pipeline.contracts import Clock, Operator, Outcome
from market_data_pipeline.errors import OperatorError
from market_data_pipeline.model import Batch, ControlEvent, Diverted, Row, StreamItem
from market_data_pipeline.pipeline.ledger import StageCounts

MAX_ERROR_RATE = 0.01
ERROR_WINDOW_NS = 10_000_000_000
MIN_ROWS = 100
"""Below this many rows in the window, the rate is taken as if there were this many."""


class Stage:
    """Runs one operator."""

    def __init__(self, name: str, operator: Operator, source: str, clock: Clock) -> None:
        self.counts = StageCounts(name)
        self._operator = operator
        self._source = source
        self._clock = clock
        self._recent: deque[tuple[int, int, int]] = deque()
        self._last_error: OperatorError | None = None

    def take(self, item: StreamItem) -> Iterator[StreamItem]:
        """Yield what the operator makes of one item.

        Raises:
            OperatorError: It raised and keeps state, it accounts wrongly, or too many rows fail.
        """
        if isinstance(item, ControlEvent):
            yield from self._count(self._call("on_control", item), given=0)
            return
        if item.kind not in self._operator.accepts:
            raise OperatorError(
                f"operator {self.counts.name} takes {' or '.join(sorted(self._operator.accepts))} rows, "
                f"and source {self._source} gave {item.kind} rows: choose other kinds, or another basis"
            )
        self.counts.received += len(item)
        if self._operator.stateless:
            failed = self.counts.failed
            yield from self._isolate(item)
            self._check_error_rate(len(item), self.counts.failed - failed)
        else:
            yield from self._count(self._call("on_batch", item), given=len(item))

    def finish(self) -> Iterator[StreamItem]:
        """Yield what the operator still holds."""
        yield from self._count(self._call("finish"), given=0)

    def _call(self, method: str, *arguments: object) -> Outcome:
        try:
            outcome = getattr(self._operator, method)(*arguments)
        except OperatorError:
            raise
        except Exception as error:
            raise OperatorError(
                f"operator {self.counts.name} raised {type(error).__name__} in {method}: {error}"
            ) from error
        if not isinstance(outcome, Outcome):
            raise OperatorError(
                f"operator {self.counts.name}: {method} returned {type(outcome).__name__}, not an Outcome"
            )
        return outcome

    def _count(self, outcome: Outcome, *, given: int) -> Iterator[StreamItem]:
        accounted = outcome.passed + outcome.folded + outcome.filtered + outcome.deduplicated
        out = sum(len(item) for item in outcome.items if isinstance(item, Batch))
        if accounted != given or out != outcome.passed + outcome.created:
            raise OperatorError(
                f"operator {self.counts.name} was given {given} rows and accounts for {accounted}; it gave out "
                f"{out} and says passed + created = {outcome.passed + outcome.created}: its Outcome must add up"
            )
        self.counts.add(outcome)
        yield from outcome.items

    def _isolate(self, batch: Batch[Row]) -> Iterator[StreamItem]:
        """Give a stateless operator the rows that it can take, in order; the others leave as `Diverted`."""
        try:
            outcome = self._call("on_batch", batch)
        except OperatorError as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                yield from self._isolate(batch[:middle])
                yield from self._isolate(batch[middle:])
                return
            self.counts.failed += 1
            self._last_error = error
            reason = str(error.__cause__ or error)
            yield Diverted(source=self._source, ts=self._clock.time_ns(), batch=batch, reason=reason)
            return
        yield from self._count(outcome, given=len(batch))

    def _check_error_rate(self, received: int, failed: int) -> None:
        now = self._clock.monotonic_ns()
        self._recent.append((now, received, failed))
        while self._recent[0][0] <= now - ERROR_WINDOW_NS:
            self._recent.popleft()
        bad = sum(entry[2] for entry in self._recent)
        total = sum(entry[1] for entry in self._recent)
        if failed and bad > MAX_ERROR_RATE * max(total, MIN_ROWS):
            raise OperatorError(
                f"operator {self.counts.name} cannot take {bad} of the last {total} rows, which is more than "
                f"{MAX_ERROR_RATE:.0%} in {ERROR_WINDOW_NS // 1_000_000_000} s; the last: {self._last_error}"
            ) from self._last_error
