"""The settings of the operator `bars`."""

import pytest
from pydantic import ValidationError

from market_data_pipeline.operator.bars import SecondBarAggregator
from market_data_pipeline.operator.settings import BarsSettings


def test_the_first_field_is_what_a_one_liner_gives():
    assert next(iter(BarsSettings.model_fields)) == "interval"


def test_the_factory_takes_the_fields():
    settings = BarsSettings(interval="5m", basis="mid")
    aggregator = SecondBarAggregator(**settings.model_dump())
    assert (aggregator.interval_ns, aggregator.basis) == (300_000_000_000, "mid")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"interval": "10ms"}, "one second or longer"),
        ({"interval": "soon"}, "write it as 1s, 5m, 1h or 1d"),
        ({"basis": "last"}, "'trade', 'mid', 'bid' or 'ask'"),
        ({"window": 1}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_value_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        BarsSettings(**values)


def test_every_field_is_described():
    assert all(field.description for field in BarsSettings.model_fields.values())
