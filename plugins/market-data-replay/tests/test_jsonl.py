"""JSON Lines, of our own form and of others."""

import gzip
import json
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import Bar, BarBatch, Origin, Quote, QuoteBatch, Trade, TradeBatch, to_px
from market_data_pipeline.sink.lines import json_lines

PX = st.integers(-(10**18) + 1, 10**18 - 1)
SIZE = st.none() | st.floats(0, 1e12)
WORD = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
ORIGINS = [Origin("acme", "acme", 7, "live"), Origin("acme", "acme", 8, "delayed")]


@st.composite
def batches(draw):
    """Batches as a pipeline gives them out: by time, kinds and origins mixed."""
    made, ts = [], 0
    for ordinal in range(draw(st.integers(0, 12))):
        ts += draw(st.integers(0, 3))
        origin, symbol = draw(st.sampled_from(ORIGINS)), draw(st.sampled_from(["A", "B"]))
        head = symbol, ts, ts + draw(st.integers(0, 2)), ordinal, draw(st.integers(0, 31)), origin
        kind = draw(st.sampled_from(["quote", "trade", "bar"]))
        if kind == "quote":
            row = Quote(*head, draw(st.none() | PX), draw(st.none() | PX), draw(SIZE), draw(SIZE))
            made.append(QuoteBatch([row]))
        elif kind == "trade":
            row = Trade(
                *head, draw(PX), draw(SIZE), draw(WORD), draw(st.sampled_from([None, "buy", "sell"])), draw(WORD)
            )
            made.append(TradeBatch([row]))
        else:
            numbers = (
                draw(PX),
                draw(PX),
                draw(PX),
                draw(PX),
                draw(st.floats(0, 1e9)),
                draw(SIZE),
                draw(st.integers(0, 9)),
            )
            marks = (
                draw(st.sampled_from(["trade", "mid"])),
                draw(st.integers(0, 3)),
                draw(st.booleans()),
                draw(st.booleans()),
            )
            made.append(BarBatch([Bar(*head, ts - 1, ts, *numbers, *marks)]))
    return made


@given(batches())
def test_our_own_lines_are_the_same_bytes_when_written_again(play, tmp_path_factory, batches):
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_bytes(b"".join(map(json_lines, batches)))
    again = b"".join(map(json_lines, play(path).batches))
    assert again == path.read_bytes()


@given(batches(), st.lists(st.integers(0, 30)))
def test_files_of_alternating_kinds_merge_in_time_order(play, tmp_path_factory, batches, times):
    folder = tmp_path_factory.mktemp("jsonl")
    (folder / "a.jsonl").write_bytes(b"".join(map(json_lines, batches)))
    other = Origin("other", "other", 1, "live")
    others = [TradeBatch([Trade("C", ts, ts, number, 0, other, 1, None)]) for number, ts in enumerate(sorted(times))]
    (folder / "b.jsonl").write_bytes(b"".join(map(json_lines, others)))
    rows = [row for batch in (*batches, *others) for row in batch.rows]
    wanted = sorted(rows, key=lambda row: row.ts_event)
    with patch("market_data_replay.merge.MOST_ROWS", 4):  # so that chunks are cut
        played = play(folder).rows
    assert [(row.kind, row.ts_event, row.ordinal) for row in played] == [
        (row.kind, row.ts_event, row.ordinal) for row in wanted
    ]


@pytest.fixture
def jsonl(tmp_path):
    """Write a file of objects or lines."""

    def write(*lines, name="a.jsonl"):
        path = tmp_path / name
        data = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def test_paths_reach_into_objects_and_lists_and_numbers_stay_exact(play, jsonl):
    line = '{"data": {"T": 1767268800000, "p": 4194304.000000001, "q": ["0.5", 7]}, "m": true, "c": ["a", "b"]}'
    path = jsonl(line, "", name="a.ndjson.gz")
    columns = {"ts_event": "data.T", "price": "data.p", "size": "data.q.0", "side": "m", "conditions": "c"}
    columns["trade_id"] = "data.q.9"
    settings = {"kind": "trade", "symbol": "X", "time_unit": "ms", "sides": {"true": "sell", "false": "buy"}}
    (row,) = play(path, columns=columns, **settings).rows
    assert (row.px, row.size, row.side) == (4194304 * 10**9 + 1, 0.5, "sell")
    assert (row.trade_id, row.conditions) == (None, "a,b")


def test_lists_are_read_by_number_and_where_chooses_the_lines(play, jsonl):
    path = jsonl([5, "1.5", "t"], [6, "2.5", "b"], {"x": 1}, [7, "3.5", "t"])
    settings = {"kind": "trade", "symbol": "X", "columns": {"ts_event": 0, "price": "1"}, "time_unit": "ns"}
    assert [row.ts_event for row in play(path, where={"2": "t"}, **settings).rows] == [5, 7]
    assert play(path, where={"2": "none"}, **settings).rows == []


def test_lines_that_are_no_rows_are_skipped_and_counted(play, jsonl, caplog):
    good = (
        '{"kind":"trade","symbol":"X","provider":"acme","epoch":1,"ordinal":0,"mode":"live","ts_event":1,"price":1.5}'
    )
    path = jsonl(
        good,
        "{",
        '{"kind":"book"}',
        "[1]",
        "7",
        '{"kind":"quote","symbol":"\\ud800"}',
        good.replace("1.5", "null"),
        '{"kind":{}}',
    )
    played = play(path)
    assert len(played.rows) == 1
    assert "7 malformed rows skipped" in played.status.detail
    assert "a.jsonl:2: row skipped" in caplog.text
    assert "a.jsonl:3: row skipped: its kind is 'book'" in caplog.text


def test_only_the_wanted_kinds_of_our_lines_are_read(play, jsonl):
    line = '{"kind":"%s","symbol":"X","epoch":1,"ordinal":0,"ts_event":1,"price":1.5,"bid":1}'
    played = play(jsonl(line % "quote", line % "trade"), kinds=("trade",))
    assert [row.kind for row in played.rows] == ["trade"]


def test_lines_without_a_mapping_but_with_a_kind_have_our_names(play, jsonl):
    path = jsonl({"symbol": "X", "ts_event": "2026-01-01T12:00:00Z", "price": 1.5})
    assert [row.px for row in play(path, kind="trade").rows] == [15 * 10**8]


def test_a_wrong_mapping_is_an_error(play, jsonl):
    path = jsonl({"t": 1})
    with pytest.raises(InvalidRequest, match="say with kind"):
        play(path, columns="bid:b")
    with pytest.raises(InvalidRequest, match="a trade needs price"):
        play(path, kind="trade", symbol="X", columns="ts_event:t")
    with pytest.raises(InvalidRequest, match="no row of it can be read"):
        play(jsonl("x"))


def test_frames_of_a_recorded_socket_are_trades_and_quotes(play, shared_data, tmp_path):
    path = tmp_path / "frames.jsonl"
    with gzip.open(shared_data / "hftbacktest/binance_spot_btcusdt_20240808.gz", "rt") as frames:
        lines = [line.partition(" ") for line in frames]
    path.write_text("".join(f'{{"recv":{recv},{frame.strip()[1:]}\n' for recv, _, frame in lines))
    ours = {"ts_event": "data.T", "ts_recv": "recv", "symbol": "data.s", "price": "data.p", "size": "data.q"}
    trades = play(
        path, kind="trade", columns=ours | {"trade_id": "data.t", "side": "data.m"}, where="stream:btcusdt@trade",
        sides="true:sell,false:buy", time_unit="ms", recv_unit="ns", provider="binance",
    )  # fmt: skip
    wanted = [json.loads(frame)["data"] for _, _, frame in lines if '"btcusdt@trade"' in frame]
    assert [row.trade_id for row in sorted(trades.rows, key=lambda row: row.ordinal)] == [
        str(one["t"]) for one in wanted
    ]
    assert [row.px for row in trades.rows] == [to_px(one["p"]) for one in wanted]
    assert {row.side for row in trades.rows} == {"buy", "sell"}
