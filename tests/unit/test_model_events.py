"""Control events: what they say, and that they stay as they are."""

import attrs
import numpy as np
import pytest

from market_data_pipeline.model import END_OF_TIME, ControlEvent, Diverted, Gap, Origin, Trade, TradeBatch, Watermark

GAP = Gap(source="acme", ts=3, start=1, end=2, reason="drop", rows=7)


def test_an_event_is_about_all_symbols_unless_it_names_some():
    assert (GAP.symbols, attrs.evolve(GAP, symbols=frozenset({"AAPL"})).symbols) == (None, {"AAPL"})


def test_events_are_equal_by_value():
    assert {GAP, attrs.evolve(GAP)} == {GAP}
    assert attrs.evolve(GAP, filled=True) != GAP


@pytest.mark.parametrize("event", ControlEvent.__subclasses__())
def test_an_event_is_frozen_and_its_fields_are_named(event):
    fields = {field.name: "x" for field in attrs.fields(event)}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event(**fields).ts = 4
    with pytest.raises(TypeError, match="positional"):
        event(*fields.values())


def test_diverted_rows_are_the_very_batch():
    batch = TradeBatch([Trade("AAPL", 1, 2, 3, 0, Origin("acme", "acme", 1, "live"), 10**9, None)])
    one = Diverted(source="acme", ts=1, batch=batch, reason="late")
    assert one == attrs.evolve(one)
    assert one != attrs.evolve(one, batch=TradeBatch(batch.rows))


def test_the_end_of_time_is_a_time_that_a_column_holds():
    assert Watermark(source="acme", ts=1, ts_event=END_OF_TIME).ts_event == np.iinfo("i8").max
