"""One operator in a pipeline: its counts, the check of what it says, and what happens to rows it cannot take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from market_data_pipeline.contracts import SECOND_NS, Clock, Operator, Outcome
from market_data_pipeline.errors import OperatorError
from market_data_pipeline.model import Batch, Diverted, Row, StreamItem
from market_data_pipeline.pipeline.ledger import StageCounts, count_rows
from market_data_pipeline.source.guard import FOREIGN

MAX_ERROR_RATE = 0.01
ERROR_WINDOW_SEC = 10
MIN_ROWS = 100
"""Below this many rows in the window, the rate is taken as if there were this many."""


class Stage:
    """Runs one operator.

    Attributes:
        counts: What became of the rows. After an error those of the last call count as failed: none got further.
    """

    def __init__(self, operator: Operator, source: str, clock: Clock) -> None:
        self.counts: StageCounts = StageCounts(type(operator).__name__)
        self._operator = operator
        self._source = source
        self._clock = clock
        self._recent: deque[list[int]] = deque([[0, 0, 0]])  # second, rows received, rows failed

    def take(self, items: Sequence[StreamItem]) -> list[StreamItem]:
        """Return what the operator makes of items.

        Raises:
            OperatorError: It raised and keeps state, it accounts wrongly, or too many rows fail.
        """
        self.counts.received += count_rows(items)
        return self._count(self._outcomes(items))

    def finish(self) -> list[StreamItem]:
        """Return what the operator still holds.

        Raises:
            OperatorError: It raised, or accounts wrongly.
        """
        return self._count([self._checked(self._call("finish"), 0)])

    def _count(self, outcomes: Iterable[Outcome]) -> list[StreamItem]:
        try:
            said = list(outcomes)
            for outcome in said:
                self.counts.add(outcome)
        finally:
            self.counts.failed += self.counts.received - self.counts.gone
        return [item for outcome in said for item in outcome.items]

    def _outcomes(self, items: Sequence[StreamItem]) -> Iterator[Outcome]:
        operator = self._operator
        for item in items:
            if not isinstance(item, Batch):
                yield self._checked(self._call("on_control", item), 0)
            elif item.kind not in operator.accepts:
                raise OperatorError(
                    f"operator {self.counts.name} takes {' or '.join(sorted(operator.accepts))} rows, "
                    f"and source {self._source} gave {item.kind} rows: choose other kinds, or another basis"
                )
            elif operator.stateless:
                self._window()[1] += len(item)
                yield from self._isolate(item)
            else:
                yield self._checked(self._call("on_batch", item), len(item))

    def _isolate(self, batch: Batch[Row]) -> Iterator[Outcome]:
        """Give a stateless operator the rows that it can take, in order; the others leave as `Diverted`."""
        try:
            outcome = self._call("on_batch", batch)
        except OperatorError as error:
            middle = len(batch) // 2
            if middle:
                yield from self._isolate(batch[:middle])
                yield from self._isolate(batch[middle:])
            else:
                self._check_error_rate(error)
                reason = str(error.__cause__ or error)
                aside = Diverted(source=self._source, ts=batch.rows[0].ts_recv, batch=batch, reason=reason)
                yield Outcome(items=(aside,))
        else:
            yield self._checked(outcome, len(batch))

    def _call(self, method: str, *arguments: object) -> object:
        try:
            return getattr(self._operator, method)(*arguments)
        except OperatorError:
            raise
        except FOREIGN as error:
            raise OperatorError(
                f"operator {self.counts.name} raised {type(error).__name__} in {method}: {error}"
            ) from error

    def _checked(self, outcome: object, given: int) -> Outcome:
        """Return what an operator said, if it adds up."""
        if not isinstance(outcome, Outcome):
            raise OperatorError(f"operator {self.counts.name} returned a {type(outcome).__name__}, not an Outcome")
        accounted = outcome.passed + outcome.folded + outcome.filtered + outcome.deduplicated
        out = count_rows(outcome.items)
        if accounted != given or out != outcome.passed + outcome.created:
            raise OperatorError(
                f"operator {self.counts.name} was given {given} rows and accounts for {accounted}; it gave out "
                f"{out} and says passed + created = {outcome.passed + outcome.created}: its Outcome must add up"
            )
        return outcome

    def _window(self) -> list[int]:
        """Return the counts of this second, after forgetting those that are 10 s old."""
        second = self._clock.monotonic_ns() // SECOND_NS
        if self._recent[-1][0] != second:
            self._recent.append([second, 0, 0])
        while self._recent[0][0] <= second - ERROR_WINDOW_SEC:
            self._recent.popleft()
        return self._recent[-1]

    def _check_error_rate(self, error: OperatorError) -> None:
        self._window()[2] += 1
        _, received, failed = (sum(column) for column in zip(*self._recent, strict=True))
        if failed > MAX_ERROR_RATE * max(received, MIN_ROWS):
            raise OperatorError(
                f"operator {self.counts.name} cannot take {failed} of the last {received} rows, which is more than "
                f"{MAX_ERROR_RATE:.0%} in {ERROR_WINDOW_SEC} s; the last: {error}"
            ) from error
