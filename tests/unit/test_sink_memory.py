"""The memory sink keeps what it is given, within its bound."""

import anyio
import pytest

from market_data_pipeline.contracts import Sink
from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Origin, Trade, TradeBatch, Watermark
from market_data_pipeline.sink import MemorySink

BATCH = TradeBatch(Trade("A", n, n, n, 0, Origin("a", "a", 1, "live"), 1, 1.0) for n in range(3))


def test_it_keeps_items_and_shows_their_rows():
    sink = MemorySink()
    event = Watermark(source="a", ts=1, ts_event=1)
    assert isinstance(sink, Sink)
    anyio.run(sink.write, BATCH)
    anyio.run(sink.write, event)
    assert sink.items == [BATCH, event]
    assert sink.rows == BATCH.rows


def test_more_rows_than_its_bound_are_an_error():
    sink = MemorySink(max_rows=5)
    anyio.run(sink.write, BATCH)
    with pytest.raises(SinkError, match="max_rows"):
        anyio.run(sink.write, BATCH)
    assert sink.rows == BATCH.rows
