"""The bytes of a dataset are a function of the sequence of rows, never of their cuts nor of their face."""

import tempfile
from pathlib import Path

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data_pipeline.model import Bar, BarBatch, Origin, Quote, QuoteBatch, Watermark
from market_data_pipeline.sink import ParquetSink

DAY = 86_400_000_000_000
ORIGINS = [Origin("one", "x", 1, "live"), Origin("one", "x", 2, "delayed"), Origin("two", "x", 1, "live")]

spans = st.lists(
    st.tuples(
        st.sampled_from(["quote", "bar"]),
        st.sampled_from(ORIGINS),
        st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 3), st.booleans()), min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=6,
)


def stretch(kind, origin, rows, first):
    """Rows of one kind and origin: symbol, day (or interval of a bar), and whether something is missing."""
    for ordinal, (symbol, day, missing) in enumerate(rows, first):
        if kind == "quote":
            at = day * DAY + ordinal
            yield Quote(symbol, at, at, ordinal, 0, origin, None if missing else ordinal, 2, 1.0, None)
        else:
            vwap = None if missing else 1.0
            yield Bar(symbol, 9, 9, ordinal, 0, origin, 8 - day, 9, 1, 2, 1, 2, 5.0, vwap, 3)


def written(items):
    """Return the files that the items become, by name."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"

        async def run():
            sink = ParquetSink(root, rows_per_file=7, rows_per_group=3, open_files=3)
            await sink.open("demo")
            for item in items:
                await sink.write(item)
            await sink.commit(None, b"")
            await sink.close()

        anyio.run(run)
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.parquet")}


@settings(max_examples=25)
@given(spans=spans, data=st.data())
def test_cuts_and_faces_leave_no_trace(spans, data):
    whole, pieces, first = [], [], 0
    for kind, origin, rows in spans:
        batch = (QuoteBatch if kind == "quote" else BarBatch)(stretch(kind, origin, rows, first))
        first += len(batch)
        whole.append(batch)
        start = 0
        while start < len(batch):
            stop = data.draw(st.integers(start + 1, len(batch)))
            piece = batch[start:stop]
            pieces.append(piece.from_columns(piece.columns, origin) if data.draw(st.booleans()) else piece)
            start = stop
    assert written(whole) == written(pieces)


@settings(max_examples=20)
@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=8))
def test_watermarks_of_days_that_are_over_leave_no_trace(sizes):
    """They follow batches, so that their number depends on the cuts."""
    items, marks, first = [], [], 0
    for day, size in enumerate(sizes):
        rows = [("A", day, False)] * size
        batch = QuoteBatch(stretch("quote", ORIGINS[0], rows, first))
        first += size
        items.append(batch)
        marks += [batch, Watermark(source="x", ts=0, ts_event=day * DAY)]
    assert written(items) == written(marks)
