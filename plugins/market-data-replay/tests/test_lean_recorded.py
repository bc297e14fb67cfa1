"""Recorded market data of Lean's repository, row by row against another way to read it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from market_data_pipeline.model import Flag, Quote, to_decimal, to_px

ZONES = {"equity": "America/New_York", "option": "America/New_York", "index": "America/Chicago"}
SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def lines(path):
    """The lines of every CSV file of a zip, split, with the name of the file."""
    with ZipFile(path) as archive:
        for name in archive.namelist():
            for line in archive.read(name).decode().split():
                yield name, line.split(",")


def instant(day, milliseconds, zone):
    """Wall-clock arithmetic in the zone, in int ns."""
    local = datetime.combine(day, datetime.min.time(), ZoneInfo(zone)) + timedelta(milliseconds=int(milliseconds))
    return round((local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)) * 1_000_000


@lru_cache(maxsize=1 << 16)
def price(text, scale=1):
    return to_px(Decimal(text or 0) / scale)


@pytest.mark.parametrize(("day", "count"), [(date(2014, 5, 1), 24_179), (date(2014, 5, 2), 49_341)])
def test_every_forex_tick_is_what_decimal_reads(play, shared_data, day, count):
    path = shared_data / f"lean/forex/oanda/tick/eurusd/{day:%Y%m%d}_quote.zip"
    rows = play(path, "EURUSD", kinds=["quote"]).rows
    assert len(rows) == count
    for row, (_, (time, bid, ask)) in zip(rows, lines(path), strict=True):
        assert type(row) is Quote
        assert row.symbol == "EURUSD"
        assert row.ts_event == row.ts_recv == instant(day, time, "UTC")
        assert to_decimal(row.bid_px) == Decimal(bid)
        assert to_decimal(row.ask_px) == Decimal(ask)
        assert row.bid_size is row.ask_size is None
        assert row.flags == Flag.TS_RECV_IS_EVENT


def test_days_follow_each_other_as_one_recording(play, shared_data):
    played = play(shared_data / "lean/forex/oanda", "EURUSD", format="lean", speed="max")
    rows = played.rows
    assert len(rows) == 24_179 + 49_341
    assert [row.ordinal for row in rows] == list(range(len(rows)))
    assert [row.ts_event for row in rows] == sorted(row.ts_event for row in rows)
    assert {row.origin for row in rows} == {rows[0].origin}
    assert rows[0].origin.epoch == rows[0].ts_event
    assert (rows[0].origin.provider, rows[0].origin.source) == ("oanda", "replay")
    assert all(batch.born == "columns" for batch in played.batches)


def test_equity_quotes_have_one_side(play, shared_data):
    path = shared_data / "lean/equity/usa/tick/ibm/20131007_quote.zip"
    day = date(2013, 10, 7)
    raw = [line for _, line in lines(path)]
    rows = play(path, "IBM", suspicious=True).rows
    assert len(rows) == len(raw) == 109_067
    for row, (time, bid, bid_size, ask, ask_size, *_) in zip(rows, raw, strict=True):
        assert row.ts_event == instant(day, time, ZONES["equity"])
        assert (row.bid_px, row.bid_size) == ((price(bid, 10_000), float(bid_size)) if bid != "0" else (None, None))
        assert (row.ask_px, row.ask_size) == ((price(ask, 10_000), float(ask_size)) if ask != "0" else (None, None))
        assert (row.bid_px is None) != (row.ask_px is None)


def test_suspicious_ticks_are_left_out_and_counted(play, shared_data):
    played = play(shared_data / "lean/equity/usa/tick/ibm/20131007_quote.zip")
    assert len(played.rows) == 109_066
    assert "1 suspicious rows left out" in played.status.detail


@pytest.mark.parametrize("name", ["ibm/20131007", "ibm/20131008", "bac/20131008", "spy/20131007"])
def test_every_equity_trade_is_what_its_line_says(play, shared_data, name):
    path = shared_data / f"lean/equity/usa/tick/{name}_trade.zip"
    raw = np.array([line for _, line in lines(path)])
    (batch,) = concatenated(play(path))
    assert batch["px"].tolist() == [price(text, 10_000) for text in raw[:, 1]]
    assert batch["size"].tolist() == raw[:, 2].astype(float).tolist()
    assert batch["conditions"] == raw[:, 4].tolist()
    midnight = instant(datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date(), 0, ZONES["equity"])
    assert batch["ts_event"].tolist() == (midnight + raw[:, 0].astype("i8") * 1_000_000).tolist()


def test_a_future_is_in_utc_and_each_contract_is_a_symbol(play, shared_data):
    path = shared_data / "lean/future/comex/tick/gc/20131007_trade.zip"
    played = play(path)
    assert len(played.rows) == 40_192
    expected = {}
    for name, (time, px, size, *_) in lines(path):
        symbol = f"GC_{name.removesuffix('.csv').rpartition('_')[2]}"
        expected.setdefault(symbol, []).append((instant(date(2013, 10, 7), time, "UTC"), price(px), float(size)))
    found = {}
    for row in played.rows:
        found.setdefault(row.symbol, []).append((row.ts_event, row.px, row.size))
    assert found == expected
    # The exchange rests from 17:15 to 18:00 in New York.
    rest = [instant(date(2013, 10, 7), hour * 3_600_000, "UTC") for hour in (21.25, 22)]
    assert not [row for row in played.rows if rest[0] <= row.ts_event < rest[1]]
    assert [row.symbol for row in play(path, "gc_201402").rows] == ["gc_201402"] * 213


@pytest.mark.parametrize(
    "place",
    [
        "crypto/coinbase/second/btcusd",
        "crypto/coinbase/minute/btcusd",
        "equity/usa/second/ibm",
        "equity/usa/minute/spy",
        "forex/oanda/second/eurusd",
        "forex/oanda/minute/eurusd",
        "future/comex/minute/gc",
        "index/usa/minute/spx",
        "indexoption/usa/minute/spxw",
        "option/usa/minute/spy",
    ],
)
def test_every_bar_is_what_its_line_says(play, shared_data, place):
    asset, _, resolution, _ = place.split("/")
    scale = 10_000 if asset in {"equity", "option", "indexoption"} else 1
    zone = ZONES.get(asset.removeprefix("index"), ZONES["index"] if asset == "index" else "UTC")
    expected = []
    for path in sorted((shared_data / "lean" / place).glob("*.zip")):
        if "openinterest" in path.name:
            continue
        midnight = instant(datetime.strptime(path.name[:8], "%Y%m%d").replace(tzinfo=UTC).date(), 0, zone)
        for _, (time, *values) in lines(path):
            start = midnight + int(time) * 1_000_000
            sides = [("trade", values)] if len(values) == 5 else [("bid", values[:5]), ("ask", values[5:])]
            for basis, (*prices, size) in sides:
                if prices[0] not in {"", "0"}:
                    volume = float(size) if basis == "trade" else 0.0
                    expected.append((start, basis, *(price(text, scale) for text in prices), volume))
    played = play(shared_data / "lean" / place, kinds=["bar"], resolution=resolution)
    found = [
        (row.start, row.basis, row.open_px, row.high_px, row.low_px, row.close_px, row.volume) for row in played.rows
    ]
    assert sorted(found) == sorted(expected)
    interval = SECOND if resolution == "second" else MINUTE
    assert all(row.end == row.ts_event == row.start + interval and row.vwap is None for row in played.rows)
    ends = [row.end for row in played.rows]
    assert ends == sorted(ends)


def test_an_empty_side_has_no_bar(play, shared_data):
    symbol = "GOOG_AMERICAN_CALL_10000000_20151224"
    played = play(shared_data / "lean/option/usa/minute/goog/20151224_quote_american.zip", symbol, kinds=["bar"])
    path = shared_data / "lean/option/usa/minute/goog/20151224_quote_american.zip"
    with ZipFile(path) as archive:
        raw = archive.read("20151224_goog_minute_quote_american_call_10000000_20151224.csv").decode().split()
    assert all(line.split(",")[1] == "" for line in raw)
    asked = [line for line in raw if line.split(",")[6] not in {"", "0"}]
    assert [row.basis for row in played.rows] == ["ask"] * len(asked) != []


def test_index_times_agree_with_the_options_on_it(play, shared_data):
    # Put-call parity of SPXW 4445 against the index only holds where both clocks are read in their own zone.
    options = play(shared_data / "lean/indexoption", kinds=["bar"], start="2023-06-26T00:00Z", end="2023-06-27T00:00Z")
    quotes = {(row.symbol, row.basis, row.end): row.close for row in options.rows if row.basis != "trade"}
    call, put = (f"SPXW_EUROPEAN_{right}_44450000_20230630" for right in ("CALL", "PUT"))
    basis = []
    for row in play(shared_data / "lean/index", "SPX", kinds=["bar"]).rows:
        sides = [quotes.get((option, side, row.end)) for option in (call, put) for side in ("bid", "ask")]
        if None not in sides:
            basis.append(4445 + (sides[0] + sides[1]) / 2 - (sides[2] + sides[3]) / 2 - row.close)
    assert len(basis) > 300
    assert np.percentile(basis, [5, 95]) == pytest.approx([3.56, 4.52], abs=0.05)


def concatenated(played):
    """The columns of a replay of one kind, texts as lists."""
    names = played.batches[0].columns
    yield {
        name: [text for batch in played.batches for text in batch.columns.text(name)]
        if name in names.words
        else np.concatenate([batch.columns[name] for batch in played.batches])
        for name in names
    }
