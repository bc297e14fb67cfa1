"""Lean's folders: what a path says, what a line says, and what is wrong with either."""

import logging
from datetime import UTC, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.errors import InvalidRequest, UnknownSymbol
from market_data_pipeline.model import to_px
from market_data_replay.files import find_files
from market_data_replay.formats.contract import Query, Tally
from market_data_replay.formats.lean import LEAN
from market_data_replay.formats.lean.layout import find_market
from market_data_replay.formats.lean.rows import Day
from market_data_replay.formats.lean.text import LeanText
from market_data_replay.merge import merge

EURUSD = "forex/oanda/tick/eurusd/20140501_quote.zip"
HOUR = 3_600_000


def ns(*moment, zone="UTC"):
    return int(datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("shown", "utc"),
    [
        ((2024, 3, 8, 9, 30), (2024, 3, 8, 14, 30)),  # winter
        ((2024, 3, 10, 1, 59), (2024, 3, 10, 6, 59)),  # the clock is put forward at 2:00
        ((2024, 3, 10, 9, 30), (2024, 3, 10, 13, 30)),
        ((2024, 11, 3, 9, 30), (2024, 11, 3, 14, 30)),  # and back at 2:00
    ],
)
def test_equity_times_are_what_the_clock_in_new_york_shows(play, lean, shown, utc):
    day, (hour, minute) = datetime(*shown[:3], tzinfo=UTC), shown[3:]
    milliseconds = hour * HOUR + minute * 60_000
    path = lean(f"equity/usa/tick/ibm/{day:%Y%m%d}_trade.zip", f"{milliseconds},1815200,100,P,2000,0\n")
    (row,) = play(path).rows
    assert row.ts_event == ns(*utc)


def test_the_days_of_a_zone_follow_each_other_without_a_gap():
    days = [Day(datetime(2024, 3, day, tzinfo=UTC).date(), "America/New_York") for day in (9, 10, 11)]
    assert [day.end for day in days[:2]] == [day.start for day in days[1:]]
    assert days[1].end - days[1].start == 23 * HOUR * 1_000_000


def test_a_time_may_have_parts_of_a_millisecond(play, lean):
    path = lean("equity/usa/tick/ibm/20131008_trade.zip", "14400009.367,137450,100,D,1,0\n")
    (row,) = play(path).rows
    assert row.ts_event == ns(2013, 10, 8, 4, zone="America/New_York") + 9_367_000
    assert (row.px, row.conditions) == (to_px("13.745"), "1")


def test_crypto_ticks_have_sizes(play, lean):
    lean("crypto/coinbase/tick/btcusd/20161007_quote.zip", "86400,232.40,20392.5,0,0\n")
    lean("crypto/coinbase/tick/btcusd/20161007_trade.zip", "86400,232.40,93.1\n")
    quote, trade = play(lean("crypto/coinbase/tick/btcusd/20161008_trade.zip", "").parents[4], "BTCUSD").rows
    assert (quote.bid_px, quote.bid_size, quote.ask_px, quote.ask_size) == (to_px("232.4"), 20392.5, None, None)
    assert (trade.px, trade.size, trade.conditions, trade.side, trade.trade_id) == (
        to_px("232.4"),
        93.1,
        None,
        None,
        None,
    )


@given(
    st.lists(
        st.tuples(
            st.integers(0, 86_399_999),
            st.decimals("0.000000001", "999999999.999999999", places=9),
            st.integers(0, 10**9),
        ),
        min_size=1,
        max_size=50,
    ),
    st.integers(20, 2000),
)
def test_prices_are_exact_and_blocks_do_not_show(rows, size):
    text = "\r\n".join(f"{time},{price},{amount}" for time, price, amount in rows).encode()
    reader = LeanText(("ms", "px", "size"), find_market("crypto", "coinbase"), lambda line, why: pytest.fail(why))
    tables = [table for _, (table, _) in reader.tables(BytesIO(text), "here", max(size, 64))]
    assert [px for table in tables for px in table["px"].tolist()] == [to_px(price) for _, price, _ in rows]
    assert [ms for table in tables for ms in table["ms"].tolist()] == [time * 1_000_000 for time, _, _ in rows]


BAD = [
    "now,1.1,1.2",  # no time
    "86400000,1.1,1.2",  # not within the day
    "-1,1.1,1.2",
    "1000,1.1",  # too few columns
    "1000,1.1,1.2,1.3",  # too many
    "1000,,1.2",  # empty
    "1000,1.1x,1.2",
    "1000,nan,1.2",
    "1000,1.0000000001,1.2",  # more than nine decimals
    "1000,1000000000,1.2",  # beyond DECIMAL(18, 9)
    "1000,99999999999999999999999,1.2",
    '1000,"1.1,1.2',
]


@pytest.mark.parametrize("bad", BAD)
def test_a_malformed_line_is_skipped_counted_and_reported_with_its_place(play, lean, caplog, bad):
    path = lean(EURUSD, f"1000,1.1,1.2\n\n2000,1.1,1.2\n{bad}\n3000,1.1,1.2\n")
    played = play(path)
    assert [row.ts_event % 86_400_000_000_000 for row in played.rows] == [10**9, 2 * 10**9, 3 * 10**9]
    assert played.status.detail == "3 rows, 1 malformed rows skipped"
    (record,) = caplog.records
    assert f"{path}/20140501_quote.csv:4: row skipped" in record.getMessage()


@pytest.mark.parametrize(
    ("place", "good", "bad"),
    [
        ("crypto/coinbase/tick/btcusd/20161007_trade.zip", "0,1,1", ["0,0,1", "0,1,-1", "0,1,inf", "0,1,nan"]),
        ("equity/usa/tick/ibm/20131007_trade.zip", "0,1,1,P,1,0", ["0,1,1,P,1,2", "0,1.000001,1,P,1,0"]),
        ("crypto/coinbase/second/btcusd/20161007_trade.zip", "0,1,1,1,1,1", ["0,1,1,0,1,1", "0,1,1,1,1,-1"]),
        (
            "forex/oanda/second/eurusd/20161007_quote.zip",
            "0,1,1,1,1,0,1,1,1,1,0",
            ["0,1,1,0,1,0,1,1,1,1,0", "0,1,1,1,1,0,1,,1,1,0"],
        ),
    ],
)
def test_a_line_that_makes_no_sense_is_malformed(play, lean, place, good, bad):
    played = play(lean(place, "\n".join([good, *bad, good])))
    assert len(played.rows) in {2, 4}
    assert f"{len(bad)} malformed rows skipped" in played.status.detail


def test_many_malformed_lines_are_logged_as_few(play, lean, caplog):
    text = "".join(f"{number},1.1,{'x' if number % 3 else '1.2'}\n" for number in range(3000))
    played = play(lean(EURUSD, text))
    assert len(played.rows) == 1000
    assert "2,000 malformed rows skipped" in played.status.detail
    assert len(caplog.records) == 7
    assert "2000" in caplog.records[-1].getMessage()


@pytest.mark.parametrize(
    "text", ["time,bid,ask\n" * 200, "<html>\n<body>\n", "0,1.1,1.2,1.3\n", b"\x00\x01" * 3_000_000]
)
def test_a_file_of_something_else_is_a_clear_error(play, lean, text):
    path = lean(EURUSD, text)
    with pytest.raises(InvalidRequest, match="is not what it claims to be") as caught:
        play(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n\r\n"])
def test_a_file_without_text_has_no_rows(play, lean, text):
    assert play(lean(EURUSD, text)).items == []


def test_a_zip_that_is_none_is_a_clear_error(play, lean):
    path = lean(EURUSD)
    path.write_bytes(b"PK\x03\x04 but no more")
    with pytest.raises(InvalidRequest, match="is not the zip file that its name says"):
        play(path)


def test_a_damaged_zip_is_a_clear_error(play, lean):
    path = lean(EURUSD, "".join(f"{number},1.1,1.2\n" for number in range(1000)))
    data = bytearray(path.read_bytes())
    data[100:200] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(InvalidRequest, match="is damaged"):
        play(path)


def test_a_file_outside_of_leans_folders_says_what_is_expected(play, lean):
    with pytest.raises(InvalidRequest, match="ASSET/MARKET/RESOLUTION/SYMBOL"):
        play(lean("20140501_quote.zip", "0,1.1,1.2\n"))
    with pytest.raises(InvalidRequest, match="ASSET/MARKET/RESOLUTION/SYMBOL"):
        play(lean("forex/oanda/tick/eurusd/20140230_quote.zip", "0,1.1,1.2\n"))


def test_a_market_with_an_unknown_zone_is_refused(play, lean):
    with pytest.raises(InvalidRequest, match="time zone and price scale of equity/india are not known"):
        play(lean("equity/india/minute/tcs/20200102_trade.zip", "0,1,1,1,1,1\n"))


def test_ticks_with_unknown_columns_are_refused(play, lean):
    with pytest.raises(InvalidRequest, match="columns of option trade ticks are not known"):
        play(lean("option/usa/tick/spy/20200102_trade_american.zip", "0,1,1\n"))


@pytest.fixture
def folder(lean):
    """Ticks of two symbols on two days, bars of one."""
    lean("forex/oanda/tick/eurusd/20140501_quote.zip", "1000,1.1,1.2\n3000,1.1,1.2")
    lean("forex/oanda/tick/eurusd/20140502_quote.zip", "1000,1.1,1.2\n")
    lean("forex/oanda/tick/GBPUSD/20140501_quote.zip", "2000,1.6,1.7\n")
    lean("forex/oanda/second/eurusd/20140501_quote.zip", "1000,1,1,1,1,0,1,1,1,1,0\n")
    lean("forex/oanda/minute/eurusd/20140501_quote.zip", "0,1,1,1,1,0,1,1,1,1,0\n")
    return lean("forex/oanda/daily/eurusd.zip", "20140501 00:00,1,1,1,1,0,1,1,1,1,0\n").parents[1]


def test_rows_carry_the_very_symbol_that_was_asked_for(play, folder):
    assert {row.symbol for row in play(folder, "EurUsd").rows} == {"EurUsd"}


def test_without_symbols_there_are_all_in_capitals(play, folder):
    assert [row.symbol for row in play(folder).rows] == ["EURUSD", "GBPUSD", "EURUSD", "EURUSD"]


def test_symbols_of_one_market_share_batches(play, folder):
    assert [len(batch) for batch in play(folder).batches] == [3, 1]


@pytest.mark.parametrize(
    ("kinds", "resolution", "found"),
    [
        (["quote"], None, {("quote", None)}),
        (["quote", "trade", "bar"], None, {("quote", None)}),
        (["bar"], None, {("bar", 1)}),
        (["quote", "bar"], "second", {("bar", 1)}),
        (["bar"], "minute", {("bar", 60)}),
    ],
)
def test_the_finest_resolution_is_played_unless_one_is_given(play, folder, kinds, resolution, found):
    rows = play(folder, "EURUSD", kinds=kinds, resolution=resolution).rows
    assert {(row.kind, (row.end - row.start) // 10**9 if row.kind == "bar" else None) for row in rows} == found


def test_kinds_that_are_not_there_are_told_with_those_that_are(play, folder):
    with pytest.raises(
        InvalidRequest, match=r"no trade rows for EURUSD in .*: it has bar \(minute\), bar \(second\), quote"
    ):
        play(folder, "EURUSD", kinds=["trade"])
    with pytest.raises(InvalidRequest, match="no quote rows for EURUSD of resolution second"):
        play(folder, "EURUSD", kinds=["quote"], resolution="second")


def test_an_unknown_symbol_is_told_with_the_nearest(play, folder):
    with pytest.raises(UnknownSymbol, match=r"no EURUSE in .*: did you mean 'EURUSD'"):
        play(folder, "EURUSE")


def test_one_unknown_symbol_is_refused_and_the_others_play(play, folder):
    played = play(folder, "EURUSD", "XAUUSD")
    assert len(played.rows) == 3
    refused, connected = played.events
    assert refused.symbols == {"XAUUSD"}
    assert refused.error.startswith("UnknownSymbol: no XAUUSD in")
    assert connected.origin == played.rows[0].origin


def test_a_contract_is_asked_for_with_its_terms(play, lean):
    path = lean(
        "future/comex/tick/gc/20131007_trade.zip",
        **{f"20131007_gc_tick_trade_{month}": "0,1313.8,1,usa,,0\n" for month in (201310, 201312)},
    )
    assert [row.symbol for row in play(path).rows] == ["GC_201310", "GC_201312"]
    assert [row.symbol for row in play(path, "gc_201312").rows] == ["gc_201312"]
    with pytest.raises(UnknownSymbol, match=r"no GC in .*: known: GC_201310, GC_201312"):
        play(path, "GC")


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (None, None, [1, 3, 86401]),
        ("2014-05-01T00:00:03Z", None, [3, 86401]),
        (None, "2014-05-01T00:00:03Z", [1]),
        ("2014-05-01T02:00:01+02:00", "2014-05-02T00:00:01Z", [1, 3]),
        ("2014-05-01T12:00Z", "2014-05-01T13:00Z", []),
    ],
)
def test_a_range_is_half_open(play, folder, start, end, seconds):
    rows = play(folder, "EURUSD", start=start, end=end).rows
    assert [(row.ts_event - ns(2014, 5, 1)) // 10**9 for row in rows] == seconds


def test_of_a_bar_its_start_is_in_the_range(play, lean):
    path = lean("crypto/coinbase/minute/btcusd/20161007_trade.zip", "0,1,1,1,1,1\n60000,1,1,1,1,1\n120000,1,1,1,1,1\n")
    rows = play(path, start="2016-10-07T00:01Z", end="2016-10-07T00:02Z").rows
    assert [row.start for row in rows] == [ns(2016, 10, 7, 0, 1)]


def test_a_range_outside_of_the_days_says_which_there_are(play, folder):
    with pytest.raises(InvalidRequest, match=r"between start and end in .*: it has the days 2014-05-01 to 2014-05-02"):
        play(folder, "EURUSD", start="2015-01-01T00:00Z")


def test_every_open_zip_is_closed_again_when_the_replay_stops_early(lean):
    # An unclosed file is a ResourceWarning, which is an error here; but the moment counts too.
    path = lean(
        "future/comex/tick/gc/20131007_trade.zip",
        **{f"20131007_gc_tick_trade_{month}": "0,1313.8,1,usa,,0\n" * 300_000 for month in (201310, 201312)},
    )
    finding = LEAN.find(find_files(path, None)[1], Query(path=path, kinds=frozenset({"trade"})))
    stretches = merge(finding.runs, Tally(logging.getLogger()))
    next(stretches)
    archive = finding.runs[0].archive
    assert archive._zip is not None
    stretches.close()
    assert archive._zip is None
