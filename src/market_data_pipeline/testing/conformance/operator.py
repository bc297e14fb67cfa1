"""The suite of operators."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, TypeAlias

import msgspec
import pytest

from market_data_pipeline.contracts import Operator, Outcome
from market_data_pipeline.model import Batch, ControlEvent, Kind, Row, StreamItem, Watermark, concat
from market_data_pipeline.testing.judge.rows import row_findings
from market_data_pipeline.testing.judge.violation import RULES
from market_data_pipeline.testing.samples import rows_of, sample_stream

MakeOperator: TypeAlias = Callable[[], Operator]
"""What the fixture `make_operator` gives."""

CUTS = 5
"""In how many random ways rows are cut into batches."""


class OperatorConformance:
    """Whether an operator keeps the contract: a plain function of rows and events, with state.

    Subclass it, and write the fixture `make_operator`, which returns a function that makes one; with the fixture
    `items` it is tried on other data than `sample_stream` of the kinds that it accepts.

    Attributes:
        kinds: Which kinds of rows go in together; left out: all that it accepts.
    """

    kinds: ClassVar[Collection[Kind] | None] = None

    @pytest.fixture
    def make_operator(self) -> MakeOperator:
        """Override it to return a function () -> operator."""
        pytest.fail(
            "the suite has no fixture make_operator, a function () -> operator: write it into the class", pytrace=False
        )

    @pytest.fixture
    def items(self, make_operator: MakeOperator) -> Sequence[StreamItem]:
        """Return what goes in: batches of accepted kinds, and events."""
        return sample_stream(make_operator().accepts if self.kinds is None else self.kinds)

    def test_is_an_operator(self, make_operator: MakeOperator) -> None:
        """It has the members of an `Operator`."""
        operator = make_operator()
        assert isinstance(operator, Operator), (
            f"{type(operator).__name__} is no Operator: give it all members of market_data_pipeline.contracts."
            "Operator, or derive it from market_data_pipeline.operator.BaseOperator"
        )

    def test_accounts_for_all_rows(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """Each `Outcome` says of every row what became of it, and of every row that comes out where it is from."""
        operator = make_operator()
        for item, outcome in zip([*items, None], play(operator, items), strict=True):
            taken = len(item) if isinstance(item, Batch) else 0
            told = outcome.passed + outcome.folded + outcome.filtered + outcome.deduplicated
            assert told == taken, (
                f"of {taken} rows it accounts for {told}: {outcome!r:.200}: passed, folded, filtered and deduplicated "
                "add up to the rows of the batch"
            )
            given = len(rows_of(outcome.items))
            assert given == outcome.passed + outcome.created, (
                f"it gives out {given} rows and accounts for {outcome.passed + outcome.created}: {outcome!r:.200}: "
                "passed and created add up to the rows in items"
            )

    def test_passes_events_on(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """Each control event that goes in comes out at once; a watermark may be held back to an earlier time."""
        operator = make_operator()
        for item, outcome in zip(items, _feed(operator, items), strict=True):
            if isinstance(item, ControlEvent):
                assert any(_is_passed_on(item, came) for came in outcome.items), (
                    f"{item!r:.120} does not come out: on_control returns Outcome(items=(..., event))"
                )

    def test_gives_well_formed_rows(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """The rows that come out have the types of their fields, no sentinel and a right shape."""
        for row in rows_of([item for outcome in play(make_operator(), items) for item in outcome.items]):
            found = next(row_findings(row), None)
            assert found is None, f"{row!r:.200} breaks a rule: {found[0]}: {found[1]}; {RULES[found[0]]}"

    def test_is_repeatable(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """The same sequence gives the same result."""
        first, second = (flat(play(make_operator(), items)) for _ in range(2))
        assert first == second, "a second run gives other rows: use no clock, no randomness and no state outside of it"

    def test_is_independent_of_cuts(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """However rows are cut into batches, the same comes out, with the same account."""
        expected = play(make_operator(), items)
        for seed in range(CUTS):
            outcomes = play(make_operator(), recut(items, seed))
            assert (flat(outcomes), totals(outcomes)) == (flat(expected), totals(expected)), (
                "rows in other batches give another result: keep in the state what one row does to the next, not what "
                "a batch does"
            )

    def test_is_independent_of_faces(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """Batches born as columns give the same as those born as rows."""
        expected = play(make_operator(), recut(items, 0))
        outcomes = play(make_operator(), [as_columns(item) for item in recut(items, 0)])
        assert (flat(outcomes), totals(outcomes)) == (flat(expected), totals(expected)), (
            "batches of columns give another result than batches of rows: branch on `born` for speed alone"
        )

    def test_goes_on_after_restore(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """At any point, another one with its `snapshot` goes on as it would have."""
        expected = play(make_operator(), items)
        for at in range(len(items) + 1):
            first, second = make_operator(), make_operator()
            _feed(first, items[:at])
            state = first.snapshot()
            assert isinstance(state, bytes), f"snapshot() returned a {type(state).__name__}: return bytes"
            second.restore(state)
            assert flat(play(second, items[at:])) == flat(expected[at:]), (
                f"restored after {at} items it goes on differently: put all state into snapshot(), and take all of it "
                "over in restore()"
            )


def play(operator: Operator, items: Sequence[StreamItem]) -> list[Outcome]:
    """Return what an operator makes of each item and, last, of the end."""
    return [*_feed(operator, items), operator.finish()]


def _feed(operator: Operator, items: Sequence[StreamItem]) -> list[Outcome]:
    return [operator.on_batch(item) if isinstance(item, Batch) else operator.on_control(item) for item in items]


def _is_passed_on(event: ControlEvent, came: StreamItem) -> bool:
    if isinstance(event, Watermark) and isinstance(came, Watermark):
        return came.ts_event <= event.ts_event
    return came is event or came == event


def flat(outcomes: Sequence[Outcome]) -> list[Row | ControlEvent]:
    """Return what came out, row by row."""
    items = [item for outcome in outcomes for item in outcome.items]
    return [one for item in items for one in (item.rows if isinstance(item, Batch) else [item])]


def totals(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return the account of all together."""
    names = [name for name in msgspec.structs.asdict(Outcome()) if name != "items"]
    return {name: sum(getattr(outcome, name) for outcome in outcomes) for name in names}


def recut(items: Sequence[StreamItem], seed: int) -> list[StreamItem]:
    """Return the same with batches joined where they may be, at random; seed 0 joins them all."""
    draw = random.Random(seed)  # noqa: S311 (a choice of cuts, no secret)
    joined: list[StreamItem] = []
    for item in items:
        last = joined[-1] if joined else None
        if (
            isinstance(item, Batch)
            and isinstance(last, Batch)
            and (item.kind, item.origin) == (last.kind, last.origin)
            and (seed == 0 or draw.random() < 0.5)  # noqa: PLR2004
        ):
            joined[-1] = concat([last, item])
        else:
            joined.append(item)
    return joined


def as_columns(item: StreamItem) -> StreamItem:
    """Return a batch as one born with columns."""
    return type(item).from_columns(item.columns, item.origin) if isinstance(item, Batch) else item
