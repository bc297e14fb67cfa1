"""A small stream to try stages on: quotes, trades and bars of two symbols, with events."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable

from market_data_pipeline.contracts import SECOND_NS
from market_data_pipeline.model import (
    BATCHES,
    END_OF_TIME,
    SCALE,
    Bar,
    Batch,
    Connected,
    Gap,
    Kind,
    Origin,
    Quote,
    Row,
    StreamItem,
    Trade,
    Watermark,
)

START_NS = 1_704_205_800_000_000_000
"""2024-01-02T14:30:00Z."""
PER_SECOND = 4
SYMBOLS = ("AAPL", "GOOG", "MSFT", "TSLA")
ORIGIN = Origin("sample", "sample", 1, "live")


def sample_stream(kinds: Collection[Kind] = ("quote", "trade", "bar"), *, seconds: int = 20) -> list[StreamItem]:
    """Return a well-formed stream as a pipeline's stages see it: four rows a second, watermarks, a gap and an end."""
    draw = random.Random(0)  # noqa: S311 (test data, no secret)
    names = sorted(kinds)
    items: list[StreamItem] = [Connected(source="sample", ts=START_NS, origin=ORIGIN)]
    for second in range(seconds if names else 0):
        start = START_NS + second * SECOND_NS
        if second == seconds // 2:
            items.append(Gap(source="sample", ts=start, start=start, end=start + 1, reason="sequence"))
        for place in range(PER_SECOND):
            row = _row(names[second // 2 % len(names)], second * PER_SECOND + place, draw)
            items.append(BATCHES[row.kind]([row]))
        if second % 3 == 0:
            items.append(Watermark(source="sample", ts=start, ts_event=start + SECOND_NS))
    return [*items, Watermark(source="sample", ts=START_NS + seconds * SECOND_NS, ts_event=END_OF_TIME)]


def rows_of(items: Iterable[StreamItem]) -> list[Row]:
    """Return the rows of all batches."""
    return [row for item in items if isinstance(item, Batch) for row in item.rows]


def _row(kind: Kind, ordinal: int, draw: random.Random) -> Row:
    start = START_NS + ordinal // PER_SECOND * SECOND_NS
    place = ordinal % PER_SECOND
    px = draw.randrange(100 * SCALE, 110 * SCALE, SCALE // 100)
    size = draw.randrange(1, 10) * 100.0
    if kind == "bar":
        end = start + SECOND_NS
        head = (SYMBOLS[place], end, end, ordinal, 0, ORIGIN)
        return Bar(*head, start, end, px, px + SCALE, px - SCALE, px, size, None, 1)
    ts = start + place * SECOND_NS // PER_SECOND
    tick = (draw.choice(SYMBOLS), ts, ts, ordinal, 0, ORIGIN)
    return Quote(*tick, px, px + SCALE // 100, size, size) if kind == "quote" else Trade(*tick, px, size)
