"""Console and JSON Lines: the names of our files, exact prices, and a reader that goes away."""

import json
import subprocess
import sys
from decimal import Decimal

import anyio
import msgspec
import pytest

from market_data_pipeline.contracts import Sink
from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Bar, BarBatch, Flag, Gap, Origin, Quote, QuoteBatch, Trade, TradeBatch, Watermark
from market_data_pipeline.sink import ConsoleSink, JsonlSink

ORIGIN = Origin("ibkr", "ibkr", 7, "live")
TIME = 1_700_000_000_123_456_789
QUOTES = QuoteBatch(
    [
        Quote("EURUSD", TIME, TIME + 1, 1, 0, ORIGIN, 1_386_760_000, None, 1e6, None),
        Quote("EURUSD", TIME, TIME + 2, 2, 0, ORIGIN, 999_999_999_999_999_999, 1, 0.5, 2.0),
    ]
)
TRADES = TradeBatch([Trade('"A"', TIME, TIME, 3, 0, ORIGIN, -(10**9), None, "x", "buy", "@,T")])
BARS = BarBatch([Bar("A", TIME, TIME, 4, 0, ORIGIN, TIME - 10**9, TIME, 1, 2, 1, 2, 5.0, None, 3, complete=False)])
EVENTS = [Watermark(source="ibkr", ts=1, ts_event=1), Gap(source="ibkr", ts=1, start=0, end=1, reason="stall")]


def drive(sink, *items):
    async def run():
        assert await sink.open("test") is None
        try:
            for item in items:
                await sink.write(item)
            await sink.commit(None, b"")
        finally:
            await sink.close()
            await sink.close()

    anyio.run(run)


def test_they_are_sinks():
    assert isinstance(ConsoleSink(), Sink)
    assert isinstance(JsonlSink("-"), Sink)


@pytest.mark.parametrize("born", ["rows", "columns"])
def test_jsonl_is_one_object_a_row_with_the_names_of_files(tmp_path, born):
    batch = QUOTES if born == "rows" else QUOTES.from_columns(QUOTES.columns, ORIGIN)
    path = tmp_path / "new" / "ticks.jsonl"
    drive(JsonlSink(path), batch)
    leading = '{{"kind":"quote","symbol":"EURUSD","provider":"ibkr","epoch":7,"ordinal":{0},"mode":"live","flags":0,'
    times = f'"ts_event":{TIME},"ts_recv":{TIME + 1},', f'"ts_event":{TIME},"ts_recv":{TIME + 2},'
    values = (
        '"bid":1.38676,"ask":null,"bid_size":1000000.0,"ask_size":null}',
        '"bid":999999999.999999999,"ask":0.000000001,"bid_size":0.5,"ask_size":2.0}',
    )
    assert path.read_text().splitlines() == [leading.format(n + 1) + times[n] + values[n] for n in range(2)]


@pytest.mark.parametrize("born", ["rows", "columns"])
def test_jsonl_leaves_out_the_flags_that_only_columns_have(tmp_path, born):
    rows = [msgspec.structs.replace(row, flags=Flag.SNAPSHOT | Flag.NO_BID) for row in QUOTES.rows]
    batch = QuoteBatch(rows) if born == "rows" else QUOTES.from_columns(QuoteBatch(rows).columns, ORIGIN)
    path = tmp_path / "ticks.jsonl"
    drive(JsonlSink(path), batch)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["flags"], line["bid"] is None) for line in lines] == [(Flag.SNAPSHOT, False)] * 2


def test_jsonl_writes_every_kind_and_no_event(tmp_path):
    path = tmp_path / "all.jsonl"
    drive(JsonlSink(path), TRADES, EVENTS[0], BARS, EVENTS[1])
    trade, bar = (json.loads(line, parse_float=Decimal) for line in path.read_text().splitlines())
    assert trade["price"] == -1
    assert (trade["symbol"], trade["side"], trade["conditions"], trade["trade_id"]) == ('"A"', "buy", "@,T", "x")
    assert (bar["open"], bar["high"]) == (Decimal("1e-9"), Decimal("2e-9"))
    assert (bar["start"], bar["end"], bar["vwap"], bar["is_final"], bar["complete"]) == (
        *(TIME - 10**9, TIME, None, True, False),
    )


def test_jsonl_starts_anew_or_goes_on(tmp_path):
    path = tmp_path / "ticks.jsonl"
    for append, lines in ((False, 1), (True, 2), (False, 1)):
        drive(JsonlSink(path, append=append), TRADES)
        assert len(path.read_text().splitlines()) == lines


def test_jsonl_is_on_the_disk_after_commit(tmp_path):
    """SK-1."""
    path = tmp_path / "ticks.jsonl"

    async def run():
        sink = JsonlSink(path)
        await sink.open("test")
        await sink.write(TRADES)
        assert path.read_bytes() == b""
        await sink.commit(None, b"")
        assert path.read_bytes().count(b"\n") == 1
        await sink.close()

    anyio.run(run)


def test_jsonl_holds_about_a_mebibyte(tmp_path):
    path = tmp_path / "ticks.jsonl"
    many = QuoteBatch(QUOTES.rows * 4_000)

    async def run():
        sink = JsonlSink(path)
        await sink.open("test")
        await sink.write(many)
        assert path.stat().st_size > 1 << 20
        await sink.close()

    anyio.run(run)


def test_jsonl_to_a_full_disk_says_so_and_may_be_tried_again():
    with pytest.raises(SinkError, match=r"cannot write /dev/full: .*free some space") as raised:
        drive(JsonlSink("/dev/full"), TRADES)
    assert raised.value.transient


def test_jsonl_to_a_folder_says_so(tmp_path):
    with pytest.raises(SinkError, match="name a file") as raised:
        drive(JsonlSink(tmp_path), TRADES)
    assert not raised.value.transient


def test_jsonl_that_is_not_open_says_so(tmp_path):
    with pytest.raises(SinkError, match="not open"):
        anyio.run(JsonlSink(tmp_path / "a").commit, None, b"")


def test_the_console_prints_a_line_a_row(capsys):
    drive(ConsoleSink(), QUOTES, TRADES, BARS)
    time = "2023-11-14T22:13:20.123456789Z"
    prices = "open 0.000000001 high 0.000000002 low 0.000000001 close 0.000000002"
    assert capsys.readouterr().out.splitlines() == [
        f"{time}  EURUSD     quote  bid 1.38676 x 1000000  ask - x -",
        f"{time}  EURUSD     quote  bid 999999999.999999999 x 0.5  ask 0.000000001 x 2",
        f'{time}  "A"        trade  -1 x - buy @,T',
        f"{time}  A          bar 1s  {prices} volume 5 trades 3 incomplete",
    ]


def test_the_console_prints_json_lines_too(capsys, tmp_path):
    drive(ConsoleSink(format="json"), QUOTES, BARS)
    drive(JsonlSink(tmp_path / "same"), QUOTES, BARS)
    assert capsys.readouterr().out == (tmp_path / "same").read_text()


def test_jsonl_to_a_dash_is_standard_output(capsys):
    drive(JsonlSink("-"), TRADES, EVENTS[1])
    assert json.loads(capsys.readouterr().out)["trade_id"] == "x"


def test_what_happened_goes_to_the_log_and_not_to_standard_output(capsys, caplog):
    drive(ConsoleSink(), *EVENTS)
    assert capsys.readouterr().out == ""
    assert [record.args[0] for record in caplog.records] == EVENTS[1:]


STREAM = """
import anyio
from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Origin, Trade, TradeBatch
from market_data_pipeline.sink import ConsoleSink

async def main():
    batch = TradeBatch([Trade("A", 1, 1, 1, 0, Origin("a", "a", 1, "live"), 1, 1.0)])
    try:
        while True:
            await ConsoleSink().write(batch)
    except SinkError as error:
        raise SystemExit(7 if isinstance(error.__cause__, BrokenPipeError) else 8)

anyio.run(main)
"""


def test_a_reader_that_goes_away_is_an_error_and_no_noise():
    """CLI-1: it works when stdout closes."""
    with subprocess.Popen([sys.executable, "-c", STREAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout.readline().startswith(b"1970-01-01T00:00:00.000000001Z  A")
        child.stdout.close()
        assert child.wait() == 7
        assert child.stderr.read() == b""


def test_no_standard_output_at_all_is_an_error(monkeypatch):
    """CLI-1."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SinkError, match="no standard output"):
        drive(ConsoleSink(), TRADES)
