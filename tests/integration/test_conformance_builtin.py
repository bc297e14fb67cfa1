"""The built-in operators keep the contract, and the kit names those that do not."""

import pytest

from market_data_pipeline.contracts import Outcome
from market_data_pipeline.operator import BaseOperator, SecondBarAggregator
from market_data_pipeline.testing import OperatorConformance


class TestBarsOfTrades(OperatorConformance):
    kinds = ("trade",)

    @pytest.fixture
    def make_operator(self):
        return lambda: SecondBarAggregator(interval="1s")


class TestBarsOfMids(OperatorConformance):
    kinds = ("quote",)

    @pytest.fixture
    def make_operator(self):
        return lambda: SecondBarAggregator(interval="2s", basis="mid")


class FirstOfEachBatch(BaseOperator):
    """Its output depends on the cuts, and it forgets to count what it filters."""

    def on_batch(self, batch):
        return Outcome(items=(batch[:1],), passed=1)

    def on_control(self, event):
        return Outcome()


class Bad(OperatorConformance):
    pass


def fed():
    return OperatorConformance.items.__wrapped__(Bad(), FirstOfEachBatch)


def test_rows_that_are_not_counted_are_named():
    with pytest.raises(AssertionError, match="item 1 has 10 rows, 1 are accounted for"):
        Bad().test_it_accounts_for_every_row(FirstOfEachBatch, fed())


def test_events_that_are_lost_are_named():
    with pytest.raises(AssertionError, match="events are lost"):
        Bad().test_events_go_on(FirstOfEachBatch, fed())


def test_an_output_that_depends_on_cuts_is_named():
    with pytest.raises(AssertionError, match="batches of 1 with rows give another output"):
        Bad().test_cuts_and_faces_change_nothing(FirstOfEachBatch, fed(), 1, "rows")
