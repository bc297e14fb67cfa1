"""The hybrid batcher against a list: nothing lost, nothing invented, nothing out of order."""

from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.batcher import HybridBatcher
from market_data_pipeline.model import Batch, Gap, Origin, Quote, QuoteBatch, Trade, TradeBatch, Watermark

ORIGINS = [Origin("test", "test", epoch, "live") for epoch in (1, 2)]


@st.composite
def streams(draw):
    items, ordinal = [], 0
    for what in draw(
        st.lists(st.sampled_from(["quote", "trade", "columns", "watermark", "gap", "flush"]), max_size=40)
    ):
        origin = draw(st.sampled_from(ORIGINS))
        count = draw(st.integers(1, 6))
        span = range(ordinal, ordinal + count)
        if what == "trade":
            items.append(TradeBatch(Trade("A", n, n, n, 0, origin, 1, 1.0) for n in span))
        elif what in {"quote", "columns"}:
            batch = QuoteBatch(Quote("A", n, n, n, 0, origin, 1, 2, 1.0, 1.0) for n in span)
            items.append(QuoteBatch.from_columns(batch.columns, origin) if what == "columns" else batch)
        elif what == "watermark":
            items.append(Watermark(source="test", ts=ordinal, ts_event=ordinal))
        elif what == "gap":
            items.append(Gap(source="test", ts=ordinal, start=0, end=1, reason="drop"))
        else:
            items.append(None)
        ordinal += count
    return items


def rows(items):
    return [row for item in items if isinstance(item, Batch) for row in item.rows]


@given(items=streams(), max_rows=st.integers(1, 12))
def test_rows_and_events_come_out_once_and_in_order(items, max_rows):
    """HB-3."""
    batcher = HybridBatcher(max_rows=max_rows)
    out = []
    for item in items:
        out += batcher.flush() if item is None else batcher.add(item)
    out += batcher.flush()
    given_items = [item for item in items if item is not None]
    assert rows(out) == rows(given_items)
    assert all(len(item) for item in out if isinstance(item, Batch))
    # Every event stands behind the same rows as before, a watermark behind at least these.
    for event in (item for item in given_items if isinstance(item, Gap)):
        assert rows(out[: out.index(event)]) == rows(given_items[: given_items.index(event)])
    assert [item for item in out if isinstance(item, Gap)] == [item for item in given_items if isinstance(item, Gap)]
    marks = [item for item in given_items if isinstance(item, Watermark)]
    kept = [item for item in out if isinstance(item, Watermark)]
    assert kept == [mark for mark in marks if mark in kept]
    assert kept[-1:] == marks[-1:]
    for mark in kept:
        before = rows(given_items[: given_items.index(mark)])
        assert rows(out[: out.index(mark)])[: len(before)] == before
        # No promise is broken: the rows that it overtook it by are not later than it says.
        assert all(row.ts_event >= mark.ts_event for row in rows(out[out.index(mark) :]))
