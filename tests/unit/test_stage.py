"""One operator: what it says is checked, and rows that it cannot take are put aside."""

import anyio
import pytest

from market_data_pipeline.contracts import Outcome
from market_data_pipeline.errors import OperatorError
from market_data_pipeline.model import Diverted, Origin, Quote, QuoteBatch, Trade, TradeBatch, Watermark
from market_data_pipeline.operator import BaseOperator
from market_data_pipeline.pipeline.ledger import count_rows
from market_data_pipeline.pipeline.stage import Stage
from market_data_pipeline.testing import simulate

ORIGIN = Origin("test", "test", 1, "live")
SECOND = 1_000_000_000


class FakeClock:
    now = 0

    def monotonic_ns(self):
        return self.now


def batch(size, first=0):
    return QuoteBatch(Quote("A", n, n + 10, n, 0, ORIGIN, 1, 2, 1.0, 1.0) for n in range(first, first + size))


class Does(BaseOperator):
    """Answers with what a function makes of a batch."""

    accepts = frozenset({"quote"})

    def __init__(self, act, *, stateless=False):
        self.act, self.stateless, self.calls = act, stateless, 0

    def on_batch(self, batch):
        self.calls += 1
        return self.act(batch)


def stage_of(act, *, stateless=False, clock=None):
    return Stage(Does(act, stateless=stateless), "src", clock or FakeClock())


def refuse(*bad):
    def act(batch):
        if any(row.ordinal in bad for row in batch.rows):
            raise ValueError("odd row")
        return Outcome(items=(batch,), passed=len(batch))

    return act


def test_rows_that_a_stateless_operator_cannot_take_are_found_by_halving_and_leave_in_their_place():
    """SP-11."""
    clock = FakeClock()
    for face in ("rows", "columns"):
        stage = stage_of(refuse(3, 700), stateless=True, clock=clock)
        given = batch(1000) if face == "rows" else QuoteBatch.from_columns(batch(1000).columns, ORIGIN)
        items = stage.take([given])
        aside = [item for item in items if isinstance(item, Diverted)]
        assert [(one.batch.rows[0].ordinal, one.ts, one.reason) for one in aside] == [
            (3, 13, "odd row"),
            (700, 710, "odd row"),
        ]
        flat = [row.ordinal for item in items for row in (item.batch if isinstance(item, Diverted) else item).rows]
        assert flat == list(range(1000))
        assert (stage.counts.received, stage.counts.passed, stage.counts.failed) == (1000, 998, 2)
        assert stage._operator.calls <= 2 * 2 * 11
        assert {item.born for item in items if isinstance(item, QuoteBatch)} == {face}


def test_one_percent_in_ten_seconds_is_allowed_and_more_is_not():
    """SP-11."""
    clock = FakeClock()
    stage = stage_of(refuse(0, 1, 2), stateless=True, clock=clock)
    for _ in range(2):
        stage.take([batch(99, 0)[2:]])  # one of 97, as of 100; then two of 194
        clock.now += 11 * SECOND
    clock.now = 0
    stage = stage_of(refuse(0, 1), stateless=True, clock=clock)
    stage.take([batch(100)[1:]])
    clock.now += 9 * SECOND
    with pytest.raises(OperatorError, match=r"cannot take 2 of the last 198 rows.*more than 1% in 10 s.*odd row"):
        stage.take([batch(100)[1:]])
    assert (stage.counts.received, stage.counts.passed, stage.counts.failed) == (198, 98, 100)


def test_a_batch_of_nothing_but_failures_is_given_up_early():
    stage = stage_of(refuse(*range(60_000)), stateless=True)
    with pytest.raises(OperatorError, match="cannot take 601 of the last 60000 rows"):
        stage.take([batch(60_000)])
    assert stage._operator.calls < 2000


def test_the_window_of_errors_stays_small():
    clock = FakeClock()
    stage = stage_of(refuse(), stateless=True, clock=clock)
    for _ in range(1000):
        clock.now += SECOND // 7
        stage.take([batch(1)])
    assert len(stage._recent) <= 11


def test_an_error_of_a_stateful_operator_fails_the_whole_call_and_the_counts_add_up():
    """SP-11, L-1."""
    stage = stage_of(refuse(15))
    with pytest.raises(OperatorError, match="operator Does raised ValueError in on_batch: odd row"):
        stage.take([batch(10), batch(10, 10)])
    assert (stage.counts.received, stage.counts.failed, stage.counts.passed) == (20, 20, 0)


def test_an_operators_own_error_is_kept_and_an_exit_is_no_exit():
    """F27."""

    def own(_):
        raise OperatorError("mine")

    def leave(_):
        raise SystemExit(3)

    with pytest.raises(OperatorError, match=r"^mine$"):
        stage_of(own).take([batch(1)])
    with pytest.raises(OperatorError, match="raised SystemExit in on_batch"):
        stage_of(leave).take([batch(1)])


@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda _: None, "returned a NoneType, not an Outcome"),
        (lambda b: [b], "returned a list, not an Outcome"),
        (lambda b: Outcome(items=(b,)), "given 5 rows and accounts for 0"),
        (lambda b: Outcome(passed=len(b)), "gave out 0 and says passed [+] created = 5"),
        (lambda b: Outcome(items=(b,), folded=len(b)), "gave out 5 and says passed [+] created = 0"),
        (lambda b: Outcome(items=(b,), passed=4, filtered=1), "gave out 5 and says passed [+] created = 4"),
    ],
)
def test_what_does_not_add_up_is_the_operators_fault_whether_or_not_it_keeps_state(answer, complaint, stateless):
    """L-1."""
    stage = stage_of(answer, stateless=stateless)
    with pytest.raises(OperatorError, match=complaint):
        stage.take([batch(5)])
    assert stage._operator.calls == 1
    assert stage.counts.received == stage.counts.gone == 5


def test_a_kind_that_it_does_not_take_is_named():
    trade = TradeBatch([Trade("A", 1, 1, 1, 0, ORIGIN, 1, 1.0)])
    with pytest.raises(OperatorError, match="Does takes quote rows, and source src gave trade rows"):
        stage_of(refuse()).take([trade])


def test_events_and_the_end_are_checked_too():
    class Odd(BaseOperator):
        def on_batch(self, batch):
            return Outcome(passed=len(batch), items=(batch,))

        def on_control(self, event):
            raise RuntimeError("no events")

        def finish(self):
            return Outcome(items=(batch(1),))

    stage = Stage(Odd(), "src", FakeClock())
    with pytest.raises(OperatorError, match="RuntimeError in on_control: no events"):
        stage.take([Watermark(source="src", ts=1, ts_event=1)])
    with pytest.raises(OperatorError, match="gave out 1 and says passed"):
        stage.finish()


def test_all_counts_of_an_outcome_are_added():
    def act(given):
        return Outcome(items=(given[:2], batch(3)), passed=2, folded=3, filtered=4, deduplicated=1, created=3)

    stage = stage_of(act)
    assert count_rows(stage.take([batch(10)])) == 5
    counts = stage.counts
    assert (counts.passed, counts.folded, counts.filtered, counts.deduplicated, counts.created) == (2, 3, 4, 1, 3)
    assert counts.gone == counts.received == 10


def test_a_stage_needs_no_loop():
    async def main(loop):
        await anyio.sleep(25)
        return Stage(Does(refuse(), stateless=True), "src", loop).take([batch(3)])

    assert count_rows(simulate(main)) == 3
