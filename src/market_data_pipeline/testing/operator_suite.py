"""The suite for operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

import pytest

from market_data_pipeline.contracts import Operator, Outcome
from market_data_pipeline.model import BATCHES, Batch, Connected, Kind, Origin, Quote, Row, StreamItem, Trade, Watermark

MakeOperator: TypeAlias = Callable[[], Operator]

_START = 1_700_000_000_000_000_000
_STEP = 300_000_000
_ORIGIN = Origin("kit", "kit", 1, "synthetic")


class OperatorConformance:
    """What holds for every operator: its output is a function of the sequence of rows and events alone.

    Example::

        class TestMine(OperatorConformance):
            @pytest.fixture
            def make_operator(self):
                return MyOperator
    """

    kinds: ClassVar[Sequence[Kind]] = ("quote", "trade")
    """The kinds of rows that it is fed with, if it accepts them; an operator of bars gives its own `items`."""

    @pytest.fixture
    def make_operator(self) -> MakeOperator:
        """Return how to make an operator.

        Raises:
            NotImplementedError: The subclass has no such fixture.
        """
        raise NotImplementedError(f"give {type(self).__name__} a fixture make_operator: see OperatorConformance")

    @pytest.fixture
    def items(self, make_operator: MakeOperator) -> Sequence[StreamItem]:
        """Return what it is fed with: batches of ten rows, and a watermark behind each."""
        accepted = [kind for kind in self.kinds if kind in make_operator().accepts]
        made: list[StreamItem] = [Connected(source="kit", ts=_START, origin=_ORIGIN)]
        for number in range(0, 80, 10):
            kind = accepted[number // 10 % len(accepted)]
            made.append(BATCHES[kind](_row(kind, at) for at in range(number, number + 10)))
            time = _START + (number + 9) * _STEP
            made.append(Watermark(source="kit", ts=time, ts_event=time))
        return made

    def test_it_accounts_for_every_row(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """Of each batch, every row is passed, folded, filtered or deduplicated; of its items, passed or created."""
        operator = make_operator()
        for index, item in enumerate(items):
            outcome = _feed(operator, item)
            taken = outcome.passed + outcome.folded + outcome.filtered + outcome.deduplicated
            wanted = len(item) if isinstance(item, Batch) else 0
            assert taken == wanted, f"item {index} has {wanted} rows, {taken} are accounted for: count each row once"
            given, counted = len(_rows(outcome.items)), outcome.passed + outcome.created
            assert given == counted, f"item {index}: {given} rows come out, {counted} are counted: count the new ones"

    def test_events_go_on(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """Every control event comes out, in order."""
        events = [item for item in items if not isinstance(item, Batch)]
        out = [item for item in _output(make_operator(), items) if not isinstance(item, Row)]
        assert [event for event in out if event in events] == events, "events are lost: give them back in on_control"

    @pytest.mark.parametrize("size", [1, 3])
    @pytest.mark.parametrize("face", ["rows", "columns"])
    def test_cuts_and_faces_change_nothing(
        self, make_operator: MakeOperator, items: Sequence[StreamItem], size: int, face: str
    ) -> None:
        """However rows are cut into batches, and with either face, the same comes out."""
        cut = [piece for item in items for piece in _cut(item, size, face)]
        same = _output(make_operator(), cut) == _output(make_operator(), items)
        assert same, f"batches of {size} with {face} give another output: keep state across batches, by rows alone"

    def test_a_snapshot_gives_the_same_rest(self, make_operator: MakeOperator, items: Sequence[StreamItem]) -> None:
        """An operator that was restored goes on as the one that the snapshot is of, from every place."""
        for place in range(len(items) + 1):
            first, second = make_operator(), make_operator()
            for item in items[:place]:
                _feed(first, item)
            second.restore(first.snapshot())
            same = _output(second, items[place:]) == _output(first, items[place:])
            assert same, f"a snapshot behind item {place} gives another rest: put all state into snapshot()"


def _row(kind: Kind, number: int) -> Row:
    time, px = _START + number * _STEP, (100 + number % 7) * 10**9
    symbol = "AB"[number % 2]
    if kind == "quote":
        return Quote(symbol, time, time, number, 0, _ORIGIN, px, px + 10**7, 1.0, None)
    return Trade(symbol, time, time, number, 0, _ORIGIN, px, 1.5)


def _feed(operator: Operator, item: StreamItem) -> Outcome:
    return operator.on_batch(item) if isinstance(item, Batch) else operator.on_control(item)


def _output(operator: Operator, items: Sequence[StreamItem]) -> list[object]:
    """Return all rows and events that come out, without the cuts."""
    outcomes = [*(_feed(operator, item) for item in items), operator.finish()]
    flat: list[object] = []
    for outcome in outcomes:
        for item in outcome.items:
            flat.extend(item.rows if isinstance(item, Batch) else [item])
    return flat


def _cut(item: StreamItem, size: int, face: str) -> list[StreamItem]:
    if not isinstance(item, Batch):
        return [item]
    batch = item if face == "rows" else type(item).from_columns(item.columns, item.origin, position=item.position)
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def _rows(items: Sequence[StreamItem]) -> list[Row]:
    return [row for item in items if isinstance(item, Batch) for row in item.rows]
