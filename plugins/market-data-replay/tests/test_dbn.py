"""Databento's files, beside what the vendor's own decoder says is in them."""

import shutil
import sys

import databento_dbn
import pyarrow as pa
import pytest

from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import Flag
from market_data_replay.formats.dbn.rows import KINDS, Maker
from market_data_replay.formats.dbn.symbols import Symbols

UNDEF = 2**63 - 1


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
        wanted = [
            (px(one.levels[0].bid_px), px(one.levels[0].ask_px), one.ts_recv) for one in records
        ]
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
    with pytest.raises(InvalidRequest, match="a.dbn ends within"):
        play(tmp_path, "ESH1")


def test_without_the_package_the_error_says_how_to_install_it(play, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "databento_dbn", None)
    (tmp_path / "a.dbn").touch()
    with pytest.raises(InvalidRequest, match=r'pip install "market-data-replay\[dbn\]"'):
        play(tmp_path)


def made(*records):
    metadata = databento_dbn.Metadata(
        dataset="X", start=0, stype_in=databento_dbn.SType.INSTRUMENT_ID, stype_out=databento_dbn.SType.RAW_SYMBOL,
        schema=None, symbols=[], partial=[], not_found=[], mappings=[],
    )  # fmt: skip
    return Maker(databento_dbn, Symbols(metadata)), records
