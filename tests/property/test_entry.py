"""The entry: watermarks and late rows, whatever the cuts and faces."""

from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.model import Diverted, Origin, Quote, QuoteBatch, Watermark
from market_data_pipeline.pipeline.entry import FUTURE_NS, Entry

ORIGIN = Origin("test", "test", 1, "live")
SECOND = 1_000_000_000

stamps = st.lists(st.tuples(st.integers(0, 20 * SECOND), st.integers(-7 * SECOND, 7 * SECOND)), min_size=1, max_size=60)


def quotes(pairs):
    return [
        Quote("A", event, event - ahead, index, 0, ORIGIN, 1, 2, 1.0, 1.0) for index, (event, ahead) in enumerate(pairs)
    ]


def cut(rows, data):
    """Cut rows at random places, each piece in a random face."""
    while rows:
        size = data.draw(st.integers(1, len(rows)))
        batch = QuoteBatch(rows[:size])
        yield QuoteBatch.from_columns(batch.columns, ORIGIN) if data.draw(st.booleans()) else batch
        rows = rows[size:]


def run(batches, lateness):
    entry = Entry("test", lateness)
    items = [item for batch in batches for item in entry.take(batch)]
    in_time = [row for item in items if isinstance(item, QuoteBatch) for row in item.rows]
    late = [row for item in items if isinstance(item, Diverted) for row in item.batch.rows]
    marks = [item.ts_event for item in items if isinstance(item, Watermark)]
    return in_time, late, marks, entry


def model(rows, lateness):
    newest, in_time, late = -(2**63), [], []
    for row in rows:
        if row.ts_event <= row.ts_recv + FUTURE_NS:
            newest = max(newest, row.ts_event)
        (late if row.ts_event < newest - lateness else in_time).append(row)
    return in_time, late, newest - lateness


@given(stamps, st.integers(0, 5 * SECOND), st.data())
def test_late_rows_are_those_behind_the_running_watermark_whatever_the_cuts(pairs, lateness, data):
    """SP-7."""
    rows = quotes(pairs)
    in_time, late, _, entry = run(cut(rows, data), lateness)
    expected_in_time, expected_late, watermark = model(rows, lateness)
    assert (in_time, late) == (expected_in_time, expected_late)
    assert entry.watermark in (None, watermark)


@given(stamps, st.data())
def test_the_watermark_only_grows_and_no_later_row_is_behind_it(pairs, data):
    """SP-7."""
    entry = Entry("test", SECOND)
    watermark = -(2**63)
    for batch in cut(quotes(pairs), data):
        for item in entry.take(batch):
            if isinstance(item, Watermark):
                assert item.ts_event > watermark
                watermark = item.ts_event
            elif isinstance(item, QuoteBatch):
                assert all(row.ts_event >= watermark for row in item.rows)


def test_a_row_from_the_future_does_not_move_the_watermark():
    """SP-7."""
    future = Quote("A", 100 * SECOND, 100 * SECOND - FUTURE_NS - 1, 1, 0, ORIGIN, 1, 2, 1.0, 1.0)
    for batch in (QuoteBatch([future]), QuoteBatch.from_columns(QuoteBatch([future]).columns, ORIGIN)):
        entry = Entry("test", SECOND)
        assert list(entry.take(batch)) == [batch]
        assert entry.watermark is None
