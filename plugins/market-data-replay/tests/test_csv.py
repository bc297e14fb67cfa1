"""CSV files with a mapping of their columns to ours."""

import gzip
import logging

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.errors import InvalidRequest, UnknownSymbol
from market_data_pipeline.model import Flag, parse_time, to_text

SECOND = 10**9
NOON = 1_767_268_800 * SECOND
QUOTES = {"kind": "quote", "symbol": "X", "columns": "ts_event:t,bid:b,ask:a"}


@pytest.fixture
def csv(tmp_path):
    """Write a file: `csv("t,b,a\\n1,2,3\\n")`."""

    def write(text, name="a.csv"):
        path = tmp_path / "csv" / name
        path.parent.mkdir(exist_ok=True)
        data = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def test_columns_are_read_under_the_names_of_the_mapping_and_prices_are_exact(play, csv):
    path = csv("t,b,a,bs\n1767268800000000000,4194304.000000001,0.1,\n1767268801000000000,,3,5\n")
    first, second = play(path, **QUOTES | {"columns": "ts_event:t,bid:b,ask:a,ask_size:bs"}).rows
    assert (first.symbol, first.ts_event, first.bid_px, first.ask_px) == ("X", NOON, 4194304 * 10**9 + 1, 10**8)
    assert (first.ask_size, second.bid_px, second.ask_size) == (None, None, 5.0)
    assert (first.flags, first.origin.provider, first.ordinal, second.ordinal) == (Flag.TS_RECV_IS_EVENT, "file", 0, 1)


def test_without_a_mapping_the_names_are_ours(play, csv):
    path = csv(
        "symbol,ts_event,ts_recv,price,size,side,trade_id,conditions,other\nA,2026-01-01T12:00:00Z,"
        "2026-01-01T12:00:01+00:00,1.5,2,Sell,t1,F,zzz\n"
    )
    (row,) = play(path, kind="trade").rows
    assert (row.ts_event, row.ts_recv, row.px, row.side, row.trade_id) == (
        NOON,
        NOON + SECOND,
        15 * 10**8,
        "sell",
        "t1",
    )
    assert row.conditions == "F"


def test_a_file_without_a_header_is_read_by_number(play, csv):
    path = csv("x;1767268800000;1,5;2\n".replace(",", "."), "a.txt")
    settings = {"format": "csv", "columns": "ts_event:1,price:2,symbol:0", "header": False, "delimiter": ";"}
    (row,) = play(path, kind="trade", time_unit="ms", **settings).rows
    assert (row.symbol, row.ts_event, row.px, row.size) == ("x", NOON, 15 * 10**8, None)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst"])
def test_compressed_files_are_the_same_files(play, csv, name):
    text = b"\xef\xbb\xbft,b,a\n" + b"".join(b"%d,1,2\n" % (NOON + number) for number in range(5_000))
    path = csv(pa.compress(text, "zstd", asbytes=True) if name.endswith("zst") else text, name)
    played = play(path, **QUOTES)
    assert [row.ts_event for row in played.rows] == [NOON + number for number in range(5_000)]
    assert played.status.progress == 1.0


@pytest.mark.parametrize(
    ("text", "settings", "nanos"),
    [
        ("1767268800", {"time_unit": "s"}, NOON),
        ("1767268800.000000001", {"time_unit": "s"}, NOON + 1),
        ("1767268800000.5", {"time_unit": "ms"}, NOON + 500_000),
        ("1767268800000001", {"time_unit": "us"}, NOON + 1000),
        ("1767268800000000001", {"time_unit": "ns"}, NOON + 1),
        ("5", {"time_unit": "ns"}, 5),
        ("-1.5", {"time_unit": "s"}, -15 * 10**8),
        ("2026-01-01 13:00:00.123456789+01:00", {}, NOON + 123456789),
        ("2026-01-01T12:00:00Z", {"time_unit": "iso"}, NOON),
        ("2026-01-01 07:00:00", {"time_zone": "America/New_York"}, NOON),
        ("20260101 130000250", {"time_format": "%Y%m%d %H%M%S%f", "time_zone": "Europe/Berlin"}, NOON + 250 * 10**6),
        ("01.01.2026 12:00 +0000", {"time_format": "%d.%m.%Y %H:%M %z"}, NOON),
        ("2026-10-25 02:30:00", {"time_zone": "Europe/Berlin"}, parse_time("2026-10-25T02:30:00+02:00")),
    ],
)
def test_times_are_what_the_settings_say(play, csv, text, settings, nanos):
    assert [row.ts_event for row in play(csv(f"t,b,a\n{text},1,2\n"), **QUOTES, **settings).rows] == [nanos]


@pytest.mark.parametrize(
    "case",
    [
        ("1767268800,1,2", {}, "near 1970: say with time_unit"),
        ("2026-01-01 12:00:00,1,2", {}, "zone offset"),
        ("2026-01-01 12:00:00Z,1,2", {"time_zone": "UTC"}, "zone offset"),
        ("2026-03-29 02:30:00,1,2", {"time_zone": "Europe/Berlin"}, "doesn't exist"),
        ("99999999999999,1,2", {"time_unit": "s"}, "beyond the years"),
        ("x,1,2", {"time_unit": "ms"}, "ts_event 'x'"),
        ("May,1,2", {"time_format": "%Y", "time_zone": "UTC"}, "does not match format"),
        (f"{NOON},one,2", {}, "bid 'one'"),
        (f"{NOON},1.0000000001,2", {}, "bid '1.0000000001'"),
        (f"{NOON},9999999999,2", {}, "bid '9999999999'"),
        (f"{NOON},nan,2", {}, "bid 'nan'"),
        (f"{NOON},1", {}, "it has 2 columns, not 3"),
        (",1,2", {}, "lacks a value"),
    ],
)
def test_a_row_that_cannot_be_read_is_skipped_counted_and_logged(play, csv, caplog, case):
    line, settings, reason = case
    good = {"ms": "1767268800000", "s": "1767268800"}.get(settings.get("time_unit"), str(NOON))
    good = "2026-01-01 12:00:00" if "time_zone" in settings else good
    good = "2026" if "time_format" in settings else good
    path = csv(f"t,b,a\n{good},1,2\n\n{line}\n{good},3,4\n")
    with caplog.at_level(logging.WARNING):
        played = play(path, **QUOTES, **settings)
    assert [row.bid_px for row in played.rows] == [10**9, 3 * 10**9]
    assert "1 malformed rows skipped" in played.status.detail
    assert f"{path}:4: row skipped:" in caplog.text
    assert reason in caplog.text


def test_a_file_without_a_good_row_is_an_error(play, csv):
    with pytest.raises(InvalidRequest, match=r"does not read as quote rows by the settings .*bid 'x'"):
        play(csv(f"t,b,a\n{NOON},x,2\n"), **QUOTES)
    with pytest.raises(InvalidRequest, match="no row of it can be read"):
        play(csv(f"t,b,a\n{NOON},1\n"), **QUOTES)


def test_an_empty_file_has_no_rows(play, csv):
    assert play(csv(""), **QUOTES).rows == play(csv("t,b,a\n"), **QUOTES).rows == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "say with kind what the rows are"),
        ({"kind": "quote"}, "no symbol: name its column"),
        ({"kind": "quote", "symbol": "X"}, "needs bid or ask"),
        ({"kind": "trade", "symbol": "X"}, "a trade needs price, ts_event: name"),
        ({"kind": "bar", "symbol": "X"}, "a bar needs start and end"),
        ({"kind": "bar", "symbol": "X", "columns": "start:time,end:time"}, "a bar needs close, high, low, open"),
        ({"kind": "quote", "symbol": "X", "columns": "ts_event:tine"}, "no column 'tine' for ts_event: .*time"),
        ({"kind": "quote", "symbol": "X", "columns": "bit:time"}, "no column 'bit' .*bid"),
        (
            {"kind": "quote", "where": {"tine": "1"}, "symbol": "X", "columns": "ts_event:time,bid:b"},
            "'tine' for where",
        ),
        ({"kind": "quote", "header": False, "symbol": "X", "columns": "ts_event:9"}, "columns are 0 to 2"),
    ],
)
def test_a_wrong_mapping_says_what_is_there(play, csv, settings, message):
    with pytest.raises(InvalidRequest, match=message):
        play(csv("time,b,a\n1,2,3\n"), **settings)


def test_another_kind_than_the_files_is_refused(play, csv):
    with pytest.raises(InvalidRequest, match="it has quote; ask for other kinds"):
        play(csv("t,b,a\n"), kinds=("trade",), **QUOTES)


def test_sides_are_the_words_of_the_settings(play, csv, caplog):
    path = csv(f"t,p,s\n{NOON},1,B\n{NOON},1,S\n{NOON},1,BUY\n{NOON},1,\n{NOON},1,?\n")
    columns = {"kind": "trade", "symbol": "X", "columns": "ts_event:t,price:p,side:s"}
    assert [row.side for row in play(path, sides="B:buy,S:sell", **columns).rows] == ["buy", "sell", "buy", None]
    assert "say with sides which words" in caplog.text


def test_only_the_rows_of_where_are_played(play, csv):
    path = csv(f"t,b,a\n{NOON},1,2\n{NOON},3,2\n{NOON},1,5\n")
    assert [row.ask_px for row in play(path, where="b:1", **QUOTES).rows] == [2 * 10**9, 5 * 10**9]
    assert play(path, where="b:9", **QUOTES).rows == []


@pytest.mark.parametrize(
    ("names", "settings"),
    [("start", {"interval": "1m"}), ("end", {"interval": "1m"}), ("ts_event", {"interval": "1m"}), ("start,end", {})],
)
def test_a_bar_is_known_by_its_start_or_end_and_interval(play, csv, names, settings):
    times = {"start": NOON, "end": NOON + 60 * SECOND, "ts_event": NOON + 60 * SECOND}
    values = ",".join(str(times[name]) for name in names.split(","))
    path = csv(f"{names},open,high,low,close\n{values},1,2,0.5,1.5\n")
    (row,) = play(path, kind="bar", symbol="X", basis="mid", **settings).rows
    assert (row.start, row.end, row.ts_event) == (NOON, NOON + 60 * SECOND, NOON + 60 * SECOND)
    assert (row.volume, row.vwap, row.trades, row.basis, row.revision) == (0.0, None, 0, "mid", 0)
    assert (row.is_final, row.complete) == (True, True)


def test_a_bar_that_would_end_behind_all_time_is_malformed(play, csv, caplog):
    path = csv(f"start,open,high,low,close\n{NOON},1,1,1,1\n{2**63 - 1},1,1,1,1\n")
    assert len(play(path, kind="bar", symbol="X", interval="1m").rows) == 1
    assert "a.csv:3: row skipped: start or end: overflow" in caplog.text


def test_a_word_that_is_none_of_ours_is_malformed(play, csv):
    with pytest.raises(InvalidRequest, match="basis 'last': 'last' is none of ask, bid, mid, trade"):
        play(csv(f"end,open,high,low,close,basis\n{NOON},1,1,1,1,last\n"), kind="bar", symbol="X", interval="1s")


def test_a_symbol_that_is_not_there_is_named_at_the_end(play, csv):
    with pytest.raises(UnknownSymbol, match=r"no Y in .*X"):
        play(csv(f"t,b,a\n{NOON},1,2\n"), "Y", **QUOTES)


def test_a_damaged_or_strange_file_is_an_error(play, csv):
    packed = gzip.compress(b"t,b,a\n" + b"1767268800000000000,1,2\n" * 100)
    path = csv("", "b.csv.gz")
    path.write_bytes(packed[:-20])
    with pytest.raises(InvalidRequest, match=r"b\.csv\.gz is damaged"):
        play(path, **QUOTES)
    with pytest.raises(InvalidRequest, match="a line has more than"):
        play(csv("x" * (1 << 20), "c.csv"), **QUOTES)


def test_a_field_that_never_ends_is_a_malformed_row(play, csv, caplog):
    path = csv(f't,b,a\n{NOON},1,2\n{NOON},"' + "1\n" * 100_000)
    assert len(play(path, **QUOTES).rows) == 1
    assert "field larger than field limit" in caplog.text


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**18), st.none() | st.integers(0, 10**18 - 1), st.integers(-(10**18) + 1, 10**18 - 1)
        )
    )
)
def test_quotes_come_back_from_csv_as_they_were_written(play, tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    rows = sorted(rows, key=lambda row: row[0])
    lines = [f"{ts},{'' if bid is None else to_text(bid)},{to_text(ask)}\n" for ts, bid, ask in rows]
    path.write_text("t,b,a\n" + "".join(lines))
    played = play(path, time_unit="ns", **QUOTES)
    assert [(row.ts_event, row.bid_px, row.ask_px) for row in played.rows] == rows


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        (
            "quote_tick_data.csv.gz",
            {"kind": "quote", "columns": "ts_event:0,bid:1,ask:2", "header": False, "time_format": "%Y%m%d %H%M%S%f"}
            | {"time_zone": "Etc/GMT+5"},
            9_500,
        ),
        ("truefx", {"kind": "quote", "columns": "ts_event:timestamp,bid:bid,ask:ask"}, 1_000),
        (
            "xcme",
            {"kind": "bar", "time_zone": "UTC", "interval": "1m"}
            | {"columns": "start:timestamp_utc,open:open,high:high,low:low,close:close,volume:volume"},
            29_996,
        ),
    ],
)
def test_recorded_files_of_three_makers_are_played_whole(play, shared_data, name, settings, count):
    played = play(shared_data / "nautilus" / name, symbol="X", **settings)
    assert len(played.rows) == count
    assert "skipped" not in played.status.detail


@given(st.lists(st.sampled_from(["plain", "quoted", "spaced", "blank", "short", "other"]), max_size=30), st.booleans())
def test_rows_and_line_numbers_are_the_same_however_the_lines_are_read(play, tmp_path_factory, kinds, crlf):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    lines = {
        "plain": "{},1.5,2",
        "quoted": '{},"1.5",2',
        "spaced": "{}, 1.5, 2",
        "blank": "",
        "short": "{},1",
        "other": "{},3,2",
    }
    text = ["t,b,a", "0,1.5,2", *(lines[kind].format(number) for number, kind in enumerate(kinds, 1))]
    path.write_bytes(("\r\n" if crlf else "\n").join(text).encode())
    played = play(path, time_unit="ns", where={"b": "1.5"}, **QUOTES)
    wanted = [0, *(number for number, kind in enumerate(kinds, 1) if kind in {"plain", "quoted", "spaced"})]
    assert [row.ts_event for row in played.rows] == wanted
    assert ("malformed" in played.status.detail) == ("short" in kinds)


def test_a_quoted_text_may_hold_a_line_end_and_a_delimiter(play, csv, caplog):
    path = csv(f't,p,c\n{NOON},1,"a,\nb"\n{NOON},x,"c"\n{NOON},2,d\n')
    rows = play(path, kind="trade", symbol="X", columns="ts_event:t,price:p,conditions:c").rows
    assert [row.conditions for row in rows] == ["a,\nb", "d"]
    assert "a.csv:4: row skipped: price 'x'" in caplog.text


def test_bytes_that_are_no_text_spoil_their_own_row_at_most(play, csv):
    path = csv(b"t,b,a,c\n1767268800000000000,1,2,\xff\n1767268800000000000,\xff,2,x\n")
    assert len(play(path, **QUOTES).rows) == 1
