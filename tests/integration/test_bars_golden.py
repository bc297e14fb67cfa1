"""Bars of recorded market data against those that its publisher computed, exactly."""

import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

import pytest

from market_data_pipeline.model import (
    END_OF_TIME,
    Bar,
    BarBatch,
    Origin,
    Quote,
    QuoteBatch,
    Watermark,
    parse_time,
    to_decimal,
    to_px,
)
from market_data_pipeline.operator import SecondBarAggregator

MILLI = 1_000_000
SECOND = 1_000_000_000
ORIGIN = Origin("lean", "replay", 1, "live")


def read(path):
    """Yield the ns since the epoch and the texts of each line; the files count milliseconds from midnight UTC."""
    day = parse_time(datetime.strptime(path.name[:8], "%Y%m%d").replace(tzinfo=UTC))
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        for line in archive.read(name).decode().split():
            ms, *texts = line.split(",")
            yield day + int(ms) * MILLI, texts


@cache
def quotes(path):
    return QuoteBatch(
        Quote("EURUSD", ts, ts, number, 0, ORIGIN, to_px(bid), to_px(ask), None, None)
        for number, (ts, (bid, ask)) in enumerate(read(path))
    )


def aggregate(batch, face, **settings):
    """Return {start: open, high, low, close as decimals}, through one face, in batches of 1 000 rows."""
    if face == "columns":
        batch = type(batch).from_columns(batch.columns, ORIGIN)
    aggregator = SecondBarAggregator(**settings)
    outcomes = []
    for cut in range(0, len(batch), 1000):
        part = batch[cut : cut + 1000]
        outcomes.append(aggregator.on_batch(part))
        newest = int(part.columns["ts_event"][-1])
        outcomes.append(aggregator.on_control(Watermark(source="lean", ts=0, ts_event=newest)))
    outcomes.append(aggregator.on_control(Watermark(source="lean", ts=0, ts_event=END_OF_TIME)))
    made = [item for outcome in outcomes for item in outcome.items if isinstance(item, BarBatch)]
    assert {item.born for item in made} == {face}
    return {
        bar.start: tuple(map(to_decimal, (bar.open_px, bar.high_px, bar.low_px, bar.close_px)))
        for item in made
        for bar in item.rows
    }


@pytest.mark.parametrize("face", ["rows", "columns"])
@pytest.mark.parametrize("basis", ["bid", "ask"])
@pytest.mark.parametrize(
    ("published", "count"),
    [
        ("second/eurusd/20140501_quote.zip", 12_564),
        ("second/eurusd/20140502_quote.zip", 17_361),
        ("minute/eurusd/20140501_quote.zip", 1_363),
        ("minute/eurusd/20140502_quote.zip", 1_222),
    ],
)
def test_quotes_become_the_bars_of_their_publisher(shared_data, published, count, basis, face):
    path = shared_data / "lean" / "forex" / "oanda" / published
    prices = slice(0, 4) if basis == "bid" else slice(5, 9)
    expected = {start: tuple(map(Decimal, texts[prices])) for start, texts in read(path)}
    assert len(expected) == count
    ticks = quotes(path.parents[2] / "tick" / "eurusd" / path.name)
    assert aggregate(ticks, face, interval="1s" if "second" in published else "1m", basis=basis) == expected


@pytest.mark.parametrize("face", ["rows", "columns"])
@pytest.mark.parametrize(("day", "count"), [("20161007", 1_419), ("20161008", 1_400)])
def test_second_bars_become_the_minute_bars_of_their_publisher(shared_data, day, count, face):
    folder = shared_data / "lean" / "crypto" / "coinbase"
    seconds = BarBatch(
        Bar(
            *("BTCUSD", start + SECOND, start + SECOND, number, 0, ORIGIN, start, start + SECOND),
            *map(to_px, texts[:4]),
            volume=float(texts[4]),
            vwap=None,
            trades=1,
        )
        for number, (start, texts) in enumerate(read(folder / "second" / "btcusd" / f"{day}_trade.zip"))
    )
    published = {
        start: tuple(map(Decimal, texts[:4]))
        for start, texts in read(folder / "minute" / "btcusd" / f"{day}_trade.zip")
    }
    assert len(published) == count
    assert aggregate(seconds, face, interval="1m") == published
