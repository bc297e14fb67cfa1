"""Databento's files, beside what the vendor's own decoder says is in them."""

import logging
import shutil
import sys
from datetime import date
from types import SimpleNamespace

import databento_dbn
import pyarrow as pa
import pytest

from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import Flag
from market_data_replay.formats.contract import Query, Tally
from market_data_replay.formats.dbn import DBN
from market_data_replay.formats.dbn.reading import decoded
from market_data_replay.formats.dbn.rows import KINDS, NO_SIZE, NO_TIME

UNDEF = 2**63 - 1
DAY = 86_400 * 10**9


def records_of(path):
    """Everything in a file, by the vendor's decoder."""
    decoder = databento_dbn.DBNDecoder()
    decoder.write(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd").read())
    return decoder.decode()


def px(value):
    return None if value == UNDEF else value


@pytest.fixture
def databento(shared_data):
    return shared_data / "databento"


def schemas(kind):
    return [schema for schema in KINDS if kind in KINDS[schema]]


@pytest.mark.parametrize("schema", schemas("quote"))
def test_quotes_are_those_of_the_records(play, databento, schema):
    for path in databento.glob(f"*/test_data.{schema}.dbn.zst"):
        _, *records = records_of(path)
        wanted = [(px(one.levels[0].bid_px), px(one.levels[0].ask_px), one.ts_recv) for one in records]
        rows = play(path, kinds=("quote",)).rows
        assert sorted((row.bid_px or 0, row.ask_px or 0, row.ts_recv) for row in rows) == sorted(
            (bid or 0, ask or 0, ts) for bid, ask, ts in wanted
        )
        sampled = "bbo-1" in schema
        assert all(row.ts_event == row.ts_recv and row.flags & Flag.TS_EVENT_IS_RECV for row in rows) or not sampled
        assert all((row.bid_px is None) == (row.bid_size is None) for row in rows)


@pytest.mark.parametrize("schema", schemas("trade"))
def test_trades_are_those_of_the_records(play, databento, schema):
    for path in databento.glob(f"*/test_data.{schema}.dbn.zst"):
        _, *records = records_of(path)
        trades = [one for one in records if one.action == "T"]
        rows = play(path, kinds=("trade",)).rows if trades else []
        wanted = [(one.price, float(one.size), {"A": "sell", "B": "buy"}.get(str(one.side))) for one in trades]
        assert sorted((row.px, row.size, str(row.side)) for row in rows) == sorted(
            (price, size, str(side)) for price, size, side in wanted
        )
        assert {row.ts_event for row in rows} == {one.ts_event for one in trades}


@pytest.mark.parametrize(("schema", "seconds"), [("1s", 1), ("1m", 60), ("1h", 3600), ("1d", 86400)])
def test_bars_are_those_of_the_records(play, databento, schema, seconds):
    paths = list(databento.glob(f"*/test_data.ohlcv-{schema}.dbn.zst"))
    assert paths
    for path in paths:
        metadata, *records = records_of(path)
        rows = play(path).rows
        assert [(row.start, row.open_px, row.high_px, row.low_px, row.close_px, row.volume) for row in rows] == [
            (one.ts_event, one.open, one.high, one.low, one.close, one.volume) for one in records
        ]
        assert {row.end - row.start for row in rows} == {seconds * 10**9}
        assert {row.symbol for row in rows} == set(metadata.mappings)


def test_a_live_recording_is_mapped_by_its_own_records(play, databento):
    rows = play(databento / "LIVE/test_data.live.dbn.zst").rows
    records = records_of(databento / "LIVE/test_data.live.dbn.zst")
    names = {one.instrument_id: one.stype_out_symbol for one in records if type(one).__name__ == "SymbolMappingMsg"}
    assert {row.kind for row in rows} == {"quote", "trade", "bar"}
    assert {row.symbol for row in rows} <= set(names.values())


def test_larger_files_are_played_whole_and_plain_ones_too(play, shared_data, tmp_path):
    folder = shared_data / "nautilus/databento/historical_bars_catalog/databento"
    (path,) = folder.glob("futures_mbp-1*")
    _, *records = records_of(path)
    assert len(play(folder, kinds=("quote",)).rows) == len(records) == 2288
    plain = tmp_path / "a.dbn"
    plain.write_bytes(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd").read())
    assert play(plain, kinds=("quote",)).rows == play(folder, kinds=("quote",)).rows
    assert play(plain).status.progress == 1.0


@pytest.mark.parametrize(
    ("name", "kinds", "message"),
    [
        ("mbo", ("quote",), "it has mbo, which are no quotes, trades or bars; the schemas that are played are trades,"),
        ("trades", ("bar",), "it has trades; ask for other kinds"),
    ],
)
def test_a_schema_without_such_rows_is_refused(play, databento, name, kinds, message):
    with pytest.raises(InvalidRequest, match=message):
        play(databento / f"GLBX.MDP3/test_data.{name}.dbn.zst", kinds=kinds)


def test_a_damaged_file_is_an_error(play, databento, tmp_path):
    source = databento / "GLBX.MDP3/test_data.trades.dbn.zst"
    whole = pa.CompressedInputStream(pa.OSFile(str(source)), "zstd").read()
    path = tmp_path / "a.dbn"
    for data, message in ((b"", "is empty"), (b"x" * 1000, "is damaged"), (whole[:-5], "ends within a record")):
        path.write_bytes(data)
        with pytest.raises(InvalidRequest, match=message):
            play(path)
    shutil.copy(source, tmp_path / "b.dbn.zst")
    with pytest.raises(InvalidRequest, match=r"a\.dbn ends within"):
        play(tmp_path, "ESH1")


def test_without_the_package_the_error_says_how_to_install_it(play, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "databento_dbn", None)
    (tmp_path / "a.dbn").touch()
    with pytest.raises(InvalidRequest, match=r'pip install "market-data-replay\[dbn\]"'):
        play(tmp_path)


@pytest.fixture
def dbn(tmp_path):
    """Write a file of trades or bars: `dbn(record, ..., mappings=[...], by_id=False, version=3)`."""

    def write(*records, mappings=(), by_id=False, version=3):
        number, raw = databento_dbn.SType.INSTRUMENT_ID, databento_dbn.SType.RAW_SYMBOL
        metadata = databento_dbn.Metadata(
            dataset="XNAS.ITCH",
            start=0,
            stype_in=number if by_id else raw,
            stype_out=raw if by_id else number,
            schema=None,
            mappings=list(mappings),
            version=version,
        )
        path = tmp_path / "a.dbn"
        path.write_bytes(bytes(metadata) + b"".join(map(bytes, records)))
        return path

    return write


def trade(ts_event=DAY, *, number=5, price=7, size=3, ts_recv=DAY + 1, flags=0):
    action, side = databento_dbn.Action.TRADE, databento_dbn.Side.NONE
    return databento_dbn.TradeMsg(1, number, ts_event, price, size, action, side, 0, ts_recv, flags=flags)


def mapping(name, *intervals):
    return SimpleNamespace(
        raw_symbol=name,
        intervals=[
            SimpleNamespace(start_date=date(1970, 1, start), end_date=date(1970, 1, end), symbol=symbol)
            for start, end, symbol in intervals
        ],
    )


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_instrument_has_the_symbol_of_its_day(play, dbn, version):
    mappings = [mapping("A", (1, 2, "5"), (3, 4, "5"), (4, 5, "")), mapping("B", (2, 3, "5"))]
    records = [trade(day * DAY, ts_recv=day * DAY) for day in range(4)]
    rows = play(dbn(*records, mappings=mappings, version=version)).rows
    assert [row.symbol for row in rows] == ["A", "B", "A", "5"]


def test_mappings_may_go_from_id_to_symbol(play, dbn):
    assert play(dbn(trade(), mappings=[mapping("5", (2, 3, "A"))], by_id=True)).rows[0].symbol == "A"


def test_what_is_undefined_is_missing_and_the_other_time_stands_for_one(play, dbn):
    records = [trade(NO_TIME, size=NO_SIZE), trade(DAY + 1, ts_recv=NO_TIME, flags=32)]
    first, second = play(dbn(*records)).rows
    assert (first.ts_event, first.size, first.flags) == (DAY + 1, None, Flag.TS_EVENT_IS_RECV)
    assert (second.ts_recv, second.flags) == (DAY + 1, Flag.TS_RECV_IS_EVENT | Flag.SNAPSHOT)


def test_records_that_are_no_rows_are_skipped_and_counted(play, dbn, caplog):
    bar = databento_dbn.OHLCVMsg(33, 1, 5, DAY, UNDEF, 1, 1, 1, 1)
    bad = [trade(price=UNDEF), trade(price=10**18), trade(NO_TIME, ts_recv=NO_TIME), bar]
    played = play(dbn(trade(), *bad, trade()))
    assert len(played.rows) == 2
    assert "4 malformed rows skipped" in played.status.detail
    assert "a.dbn:2: row skipped: a trade without a price" in caplog.text


def test_only_the_wanted_kinds_and_symbols_of_a_mixed_file_are_played(play, dbn):
    bar = databento_dbn.OHLCVMsg(33, 1, 5, DAY, 1, 1, 1, 1, 1)
    path = dbn(trade(), bar, trade(number=6))
    assert [row.kind for row in play(path, kinds=("bar",)).rows] == ["bar"]
    assert [row.symbol for row in play(path, "6").rows] == ["6"]


def test_records_are_decoded_however_the_bytes_are_cut(dbn):
    path = dbn(trade(), trade(), trade())
    for size in (1, 7, 100):
        with path.open("rb") as stream:
            pieces = list(decoded(path, stream, size))
        assert len([record for piece in pieces for record in piece]) == 4


def test_a_file_comes_in_chunks_of_the_size_that_is_asked_for(dbn):
    path = dbn(*(trade(DAY + number) for number in range(100)))
    finding = DBN.find([path], Query(path=path, kinds=frozenset({"trade"})))
    chunks = list(finding.runs[0].chunks(Tally(logging.getLogger()), 10))
    assert len(chunks) > 3
    assert [ts for chunk in chunks for ts in chunk.times.tolist()] == [DAY + number for number in range(100)]


def test_a_file_without_rows_of_the_query_has_none(play, dbn):
    assert play(dbn(trade()), end=DAY).rows == []
