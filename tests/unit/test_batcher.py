"""The hybrid batcher: when rows go on, and in which order with events."""

import asyncio

import pytest

from market_data_pipeline.batcher import HybridBatcher
from market_data_pipeline.batcher.settings import HybridBatcherSettings
from market_data_pipeline.contracts import Batcher
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Gap, Origin, Quote, QuoteBatch, Trade, TradeBatch, Watermark

ORIGIN = Origin("test", "test", 1, "live")
MS = 1_000_000


class HandClock:
    now = 0

    def monotonic_ns(self):
        return self.now


def quotes(*ordinals, origin=ORIGIN):
    return QuoteBatch(Quote("A", n, n, n, 0, origin, 1, 2, 1.0, 1.0) for n in ordinals)


def columns(*ordinals):
    batch = quotes(*ordinals)
    return QuoteBatch.from_columns(batch.columns, ORIGIN)


def watermark(at, source="test"):
    return Watermark(source=source, ts=at, ts_event=at)


def ordinals(items):
    return [[row.ordinal for row in item.rows] if isinstance(item, QuoteBatch) else item for item in items]


def gap():
    return Gap(source="test", ts=1, start=0, end=1, reason="drop")


def test_it_is_a_batcher():
    assert isinstance(HybridBatcher(), Batcher)


def test_rows_wait_until_there_are_enough():
    """HB-1."""
    batcher = HybridBatcher(max_rows=3)
    assert batcher.add(quotes(1)) == ()
    assert batcher.add(quotes(2)) == ()
    assert ordinals(batcher.add(quotes(3))) == [[1, 2, 3]]


def test_rows_wait_until_they_weigh_enough():
    """HB-1."""
    batcher = HybridBatcher(max_bytes=2 * QuoteBatch.row_bytes)
    assert batcher.add(quotes(1)) == ()
    assert ordinals(batcher.add(quotes(2))) == [[1, 2]]


def test_the_deadline_is_that_of_the_oldest_row():
    """HB-1, HB-5."""
    clock = HandClock()
    batcher = HybridBatcher(flush_ms=100, clock=clock)
    assert batcher.deadline is None
    clock.now = 5 * MS
    batcher.add(quotes(1))
    clock.now = 50 * MS
    batcher.add(quotes(2))
    assert batcher.deadline == 105 * MS
    assert ordinals(batcher.flush()) == [[1, 2]]
    assert batcher.deadline is None


def test_the_age_starts_anew_with_the_first_row_after_a_flush():
    """HB-1."""
    clock = HandClock()
    batcher = HybridBatcher(max_rows=2, flush_ms=100, clock=clock)
    batcher.add(quotes(1))
    clock.now = 60 * MS
    batcher.add(quotes(2))
    assert batcher.deadline is None
    batcher.add(quotes(3))
    assert batcher.deadline == 160 * MS


def test_a_large_batch_stays_one_and_is_not_copied():
    """HB-1: thresholds are flush points, never cut sizes."""
    batcher = HybridBatcher(max_rows=3)
    large = quotes(2, 3, 4, 5, 6, 7)
    batcher.add(quotes(1))
    out = batcher.add(large)
    assert ordinals(out) == [[1], [2, 3, 4, 5, 6, 7]]
    assert out[1] is large


def test_nothing_held_gives_nothing():
    """HB-3: no empty batch."""
    assert HybridBatcher().flush() == ()


@pytest.mark.parametrize(
    "other",
    [
        TradeBatch([Trade("A", 9, 9, 9, 0, ORIGIN, 1, 1.0)]),
        quotes(9, origin=Origin("test", "test", 2, "live")),
        columns(9),
    ],
    ids=["kind", "origin", "face"],
)
def test_only_alike_batches_are_joined(other):
    """HB-3."""
    batcher = HybridBatcher()
    batcher.add(quotes(1))
    assert ordinals(batcher.add(other)) == [[1]]
    assert batcher.flush() == (other,)


def test_an_equal_origin_is_the_same_origin():
    batcher = HybridBatcher()
    batcher.add(quotes(1))
    batcher.add(quotes(2, origin=Origin("test", "test", 1, "live")))
    assert ordinals(batcher.flush()) == [[1, 2]]


def test_an_event_comes_out_behind_the_rows_before_it():
    """HB-3."""
    batcher = HybridBatcher()
    batcher.add(quotes(1))
    event = gap()
    assert ordinals(batcher.add(event)) == [[1], event]


def test_watermarks_wait_with_the_rows_and_the_newest_comes_out():
    batcher = HybridBatcher(max_rows=3)
    for n in (1, 2):
        batcher.add(quotes(n))
        assert batcher.add(watermark(n)) == ()
    assert ordinals(batcher.add(quotes(3))) == [[1, 2, 3], watermark(2)]


def test_watermarks_of_two_sources_are_two():
    batcher = HybridBatcher()
    batcher.add(quotes(1))
    for item in (watermark(1, "one"), watermark(2, "two"), watermark(3, "one")):
        batcher.add(item)
    assert ordinals(batcher.flush()) == [[1], watermark(2, "two"), watermark(3, "one")]


def test_a_watermark_does_not_wait_for_nothing():
    assert HybridBatcher().add(watermark(1)) == (watermark(1),)


def test_a_watermark_keeps_its_place_before_another_event():
    batcher = HybridBatcher()
    batcher.add(quotes(1))
    batcher.add(watermark(1))
    event = gap()
    assert ordinals(batcher.add(event)) == [[1], watermark(1), event]


def test_the_position_is_that_of_the_last_row():
    batcher = HybridBatcher()
    batcher.add(QuoteBatch(quotes(1).rows, position="1"))
    batcher.add(QuoteBatch(quotes(2).rows, position="2"))
    assert [item.position for item in batcher.flush()] == ["2"]


def test_the_settings_are_the_constructor():
    """HB-1: names and defaults of the old constructor."""
    settings = HybridBatcherSettings().model_dump()
    assert settings == {"max_rows": 500, "max_bytes": 512_000, "flush_ms": 100}
    assert HybridBatcher(**settings).deadline is None


def test_earlier_programs_await_rows():
    async def program():
        batcher = HybridBatcher(max_rows=2)
        one, two, three = quotes(1, 2, 3).rows
        return [
            await batcher.add(one),
            await batcher.add(two),
            await batcher.add(three),
            await batcher.flush(),
            await batcher.flush(),
        ], [one, two, three]

    said, (one, two, three) = asyncio.run(program())
    assert said == [None, [one, two], None, [three], None]


def test_what_earlier_programs_say_of_its_queue_is_kept_for_the_pipeline():
    """HB-1."""
    batcher = HybridBatcher(500, 512_000, 100, 8, "oldest")
    assert (batcher.queue_rows, batcher.on_full) == (4000, "drop_oldest")
    assert (HybridBatcher().queue_rows, HybridBatcher().on_full) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"drop_policy": "oldst"}, "drop_policy: 'oldst' is no policy; did you mean 'oldest'"),
        ({"op_queue_max": 0}, "op_queue_max: is one or more, not 0"),
    ],
)
def test_a_mistake_about_the_queue_says_what_would_be_right(arguments, message):
    with pytest.raises(ConfigurationError) as caught:
        HybridBatcher(**arguments)
    assert message in str(caught.value)
