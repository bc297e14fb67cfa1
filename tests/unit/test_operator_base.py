"""The base class of operators."""

from market_data_pipeline.contracts import Operator, Outcome
from market_data_pipeline.model import Watermark
from market_data_pipeline.operator import BaseOperator


class Everything(BaseOperator):
    """Passes rows on: all that an author has to write."""

    def on_batch(self, batch):
        return Outcome(items=(batch,), passed=len(batch))


def test_events_are_passed_on_and_nothing_is_held():
    operator = Everything()
    event = Watermark(source="acme", ts=0, ts_event=1)
    operator.restore(operator.snapshot())
    assert isinstance(operator, Operator)
    assert operator.on_control(event) == Outcome(items=(event,))
    assert operator.finish() == Outcome()
    assert operator.accepts == {"quote", "trade", "bar"}
    assert not operator.stateless
