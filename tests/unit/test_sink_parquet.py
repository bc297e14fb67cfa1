"""The Parquet dataset: what others read of it, which files there are, and when."""

import asyncio
import errno
import os
import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import anyio
import anyio.to_thread
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.contracts import Sink
from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Bar, BarBatch, Gap, Origin, Quote, QuoteBatch, Trade, TradeBatch, Watermark
from market_data_pipeline.model.arrow import from_arrow
from market_data_pipeline.sink import JsonlSink, ParquetSink, StoreSink
from market_data_pipeline.sink.parquet import slug
from market_data_pipeline.sink.settings import ParquetSettings, StoreSettings

DAY = 86_400_000_000_000
SECOND = 1_000_000_000
NOON = 20_000 * DAY + DAY // 2
FOLDER = "kind=trade/provider=test/date=2024-10-04"
ORIGIN = Origin("test", "test", 3, "live")


def trade(n, *, at=NOON, origin=ORIGIN, symbol="A"):
    return Trade(symbol, at + n, at + n, n, 0, origin, 1_386_760_000 + n, float(n), f"t{n}", "buy", None)


def trades(*ordinals, **kwargs):
    return TradeBatch(trade(n, **kwargs) for n in ordinals)


def drive(sink, *items, pipeline="demo", commit=True):
    async def run():
        await sink.open(pipeline)
        try:
            for item in items:
                await sink.write(item)
            if commit:
                await sink.commit(None, b"")
        finally:
            await sink.close()
            await sink.close()

    anyio.run(run)


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def read(path):
    with pq.ParquetFile(path) as file:
        return [row for data in file.iter_batches() for batch in from_arrow(data, source="test") for row in batch.rows]


def test_it_is_a_sink(tmp_path):
    assert isinstance(ParquetSink(tmp_path), Sink)


def test_a_file_is_named_after_pipeline_epoch_and_number(tmp_path):
    drive(ParquetSink(tmp_path), trades(1, 2))
    assert files(tmp_path) == [f"{FOLDER}/demo-3-00000.parquet"]
    assert read(tmp_path / files(tmp_path)[0]) == list(trades(1, 2).rows)


def test_ticks_lie_by_kind_provider_and_date(tmp_path):
    quote = Quote("A", NOON, NOON, 1, 0, ORIGIN, 1, 2, 1.0, 1.0)
    other = Origin("IB kr/1", "x", 4, "delayed")
    drive(ParquetSink(tmp_path), QuoteBatch([quote]), trades(1), trades(2, origin=other), trades(3, at=NOON + DAY))
    assert files(tmp_path) == [
        "kind=quote/provider=test/date=2024-10-04/demo-3-00000.parquet",
        "kind=trade/provider=IB%20kr%2F1/date=2024-10-04/demo-4-00000.parquet",
        "kind=trade/provider=test/date=2024-10-04/demo-3-00000.parquet",
        "kind=trade/provider=test/date=2024-10-05/demo-3-00000.parquet",
    ]


def bar(end, seconds):
    return Bar("A", end, end, 1, 0, ORIGIN, end - seconds * SECOND, end, 1, 2, 1, 2, 5.0, 1.5, 3)


def test_bars_lie_by_interval_and_by_the_date_of_their_end(tmp_path):
    midnight = 20_001 * DAY
    drive(ParquetSink(tmp_path), BarBatch([bar(midnight - SECOND, 1), bar(midnight, 1), bar(midnight, 60)]))
    assert files(tmp_path) == [
        "kind=bar/interval=1m/provider=test/date=2024-10-05/demo-3-00000.parquet",
        "kind=bar/interval=1s/provider=test/date=2024-10-04/demo-3-00000.parquet",
        "kind=bar/interval=1s/provider=test/date=2024-10-05/demo-3-00000.parquet",
    ]


def test_control_events_are_no_data(tmp_path):
    drive(ParquetSink(tmp_path), Gap(source="test", ts=1, start=0, end=1, reason="drop"))
    assert files(tmp_path) == []


def test_files_roll_by_rows_at_the_very_row(tmp_path):
    """SK-3."""
    drive(ParquetSink(tmp_path, rows_per_file=3, rows_per_group=2), trades(*range(7)))
    counts = [pq.read_metadata(tmp_path / name) for name in files(tmp_path)]
    assert [(meta.num_rows, meta.num_row_groups) for meta in counts] == [(3, 2), (3, 2), (1, 1)]
    assert files(tmp_path) == [f"{FOLDER}/demo-3-0000{n}.parquet" for n in range(3)]


def test_files_roll_by_bytes_after_a_row_group(tmp_path):
    """SK-3."""
    drive(ParquetSink(tmp_path, bytes_per_file=1, rows_per_group=2), trades(*range(5)))
    assert [pq.read_metadata(tmp_path / name).num_rows for name in files(tmp_path)] == [2, 2, 1]


def test_a_commit_completes_files_and_numbers_go_on(tmp_path):
    """SK-1."""

    async def run():
        sink = ParquetSink(tmp_path)
        await sink.open("demo")
        await sink.write(trades(1))
        assert files(tmp_path) == []
        await sink.commit(None, b"")
        assert len(files(tmp_path)) == 1
        await sink.write(trades(2))
        await sink.commit(None, b"")
        await sink.commit(None, b"")
        await sink.close()

    anyio.run(run)
    assert files(tmp_path) == [f"{FOLDER}/demo-3-0000{n}.parquet" for n in range(2)]


def test_what_is_not_committed_is_gone(tmp_path):
    drive(ParquetSink(tmp_path / "data", rows_per_group=1), trades(1, 2), commit=False)
    assert [path.name for path in tmp_path.rglob("*")] == ["data"]


def test_a_day_that_is_over_is_complete(tmp_path):
    async def run():
        sink = ParquetSink(tmp_path)
        await sink.open("demo")
        await sink.write(trades(1))
        await sink.write(trades(2, at=NOON + DAY))
        await sink.write(Watermark(source="test", ts=1, ts_event=20_001 * DAY - 1))
        assert files(tmp_path) == []
        await sink.write(Watermark(source="test", ts=1, ts_event=20_001 * DAY))
        assert files(tmp_path) == [f"{FOLDER}/demo-3-00000.parquet"]
        await sink.close()

    anyio.run(run)


def test_a_new_epoch_never_touches_the_files_of_another(tmp_path):
    drive(ParquetSink(tmp_path), trades(1))
    before = (tmp_path / FOLDER / "demo-3-00000.parquet").read_bytes()
    drive(ParquetSink(tmp_path), trades(2, origin=Origin("test", "test", 4, "live")))
    assert files(tmp_path) == [f"{FOLDER}/demo-3-00000.parquet", f"{FOLDER}/demo-4-00000.parquet"]
    assert (tmp_path / FOLDER / "demo-3-00000.parquet").read_bytes() == before


def test_the_same_run_again_replaces_its_files_by_the_same_bytes(tmp_path, caplog):
    def run():
        drive(ParquetSink(tmp_path, rows_per_file=4, rows_per_group=3), trades(*range(6)))
        return {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}

    assert run() == run()
    assert caplog.records == []


def test_another_run_under_the_same_name_is_not_silent(tmp_path, caplog):
    drive(ParquetSink(tmp_path), trades(1))
    drive(ParquetSink(tmp_path), trades(2))
    assert [record.getMessage().endswith("replaced") for record in caplog.records] == [True]
    assert read(tmp_path / files(tmp_path)[0]) == list(trades(2).rows)


def test_a_partition_too_many_closes_the_oldest_day(tmp_path):
    def at(day):
        return trades(1, at=NOON + day * DAY)

    async def run():
        sink = ParquetSink(tmp_path, open_files=2)
        await sink.open("demo")
        for day in (1, 0, 1, 2):
            await sink.write(at(day))
        assert [name.split("/")[-2] for name in files(tmp_path)] == ["date=2024-10-04"]
        await sink.write(at(0))
        assert [name.split("/")[-2] for name in files(tmp_path)] == ["date=2024-10-04", "date=2024-10-05"]
        await sink.commit(None, b"")
        await sink.close()

    anyio.run(run)
    assert [name.split("/", 2)[2] for name in files(tmp_path)] == [
        *("date=2024-10-04/demo-3-00000.parquet", "date=2024-10-04/demo-3-00001.parquet"),
        *("date=2024-10-05/demo-3-00000.parquet", "date=2024-10-06/demo-3-00000.parquet"),
    ]


def test_only_orphans_of_the_same_pipeline_are_removed(tmp_path):
    """SK-3."""
    root = tmp_path / "data"
    for pipeline in ("demo", "demo-2"):
        folder = tmp_path / ".data.tmp" / pipeline
        folder.mkdir(parents=True)
        (folder / "1.tmp").write_bytes(b"half")
    drive(ParquetSink(root), trades(1), pipeline="demo")
    assert files(tmp_path) == [".data.tmp/demo-2/1.tmp", f"data/{FOLDER}/demo-3-00000.parquet"]


def test_a_disk_that_fills_up_says_so_and_leaves_no_torn_file(tmp_path):
    """SK-3."""
    root = tmp_path / "data"

    async def run():
        sink = ParquetSink(root, rows_per_group=2)
        await sink.open("demo")
        os.symlink("/dev/full", tmp_path / ".data.tmp" / "demo" / "1.tmp")  # noqa: PTH211 - as the kernel sees it
        try:
            await sink.write(trades(*range(10)))
            await sink.commit(None, b"")
        finally:
            await sink.close()

    with pytest.raises(SinkError, match="free some space") as raised:
        anyio.run(run)
    assert raised.value.transient
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.rglob("*")] == ["data"]


def test_a_file_in_the_way_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SinkError, match=rf"{path.name}.*choose another path") as raised:
            drive(ParquetSink(path))
        assert not raised.value.transient


def test_a_sink_that_is_not_open_says_so(tmp_path):
    with pytest.raises(SinkError, match="not open"):
        anyio.run(ParquetSink(tmp_path).write, trades(1))


@pytest.mark.parametrize(
    "make", [ParquetSink, lambda folder: JsonlSink(folder / "rows.jsonl")], ids=["parquet", "jsonl"]
)
def test_closing_waits_for_the_thread_that_a_cancelled_commit_left_at_work(tmp_path, monkeypatch, make):
    started, go_on = threading.Event(), threading.Event()

    def fsync(_descriptor):
        started.set()
        go_on.wait()

    async def run():
        sink = make(tmp_path)
        await sink.open("demo")
        await sink.write(trades(1))
        monkeypatch.setattr(os, "fsync", fsync)
        commit = asyncio.create_task(sink.commit(None, b""))
        await anyio.to_thread.run_sync(started.wait)
        commit.cancel()
        await asyncio.wait([commit])
        closing = asyncio.create_task(sink.close())
        for _ in range(20):  # long enough for a thread that need not wait
            await anyio.to_thread.run_sync(int)
        waited = not closing.done()
        go_on.set()
        await closing
        assert (commit.cancelled(), waited) == (True, True)

    asyncio.run(run())


def test_temporaries_stand_where_the_folder_is_a_disk_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    root = tmp_path / "data"
    (root / ".tmp" / "demo").mkdir(parents=True)
    (root / ".tmp" / "demo" / "1.tmp").write_bytes(b"half")
    drive(ParquetSink(root), trades(1))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert files(root) == [f"{FOLDER}/demo-3-00000.parquet"]


def test_file_names_are_safe_and_do_not_meet():
    assert slug("quotes.v2_EU") == "quotes.v2_EU"
    assert slug("a/b").startswith("a-b-")
    assert len({slug("a/b"), slug("a b"), slug("a-b"), slug("a/b/")}) == 4
    assert slug("/") == slug("/")
    assert len(slug("x" * 300)) < 120


# --- what others read -------------------------------------------------------------------------------------------

BID = Decimal("1.386760000")
TIME = datetime(2024, 10, 4, 12, tzinfo=UTC).replace(tzinfo=None)


@pytest.fixture
def dataset(tmp_path):
    rows = [
        Quote("EURUSD", NOON, NOON + 5, 1, 0, ORIGIN, 1_386_760_000, 999_999_999_999_999_999, 1e6, None),
        Quote("EURUSD", NOON + 1, NOON + 6, 2, 0, ORIGIN, -1, None, None, 2.0),
    ]
    drive(ParquetSink(tmp_path), QuoteBatch(rows), QuoteBatch([bar_quote(at=NOON + DAY)]))
    return tmp_path


def bar_quote(at):
    return Quote("GBPUSD", at, at, 3, 0, ORIGIN, 1, 2, 1.0, 1.0)


def test_the_metadata_names_the_schema(dataset):
    meta = pq.read_metadata(dataset / files(dataset)[0])
    assert meta.metadata[b"mdp.schema"] == b"tick/1"
    assert meta.schema.column(9).physical_type == "INT64"
    assert str(meta.schema.column(9).logical_type) == "Decimal(precision=18, scale=9)"
    assert meta.row_group(0).column(0).compression == "ZSTD"


def test_duckdb_reads_exact_prices(dataset):
    quotes = f"'{dataset}/kind=quote/**/*.parquet'"
    first = duckdb.sql(f"select bid, ask, ask_size, time, provider, date from {quotes} order by ordinal").fetchall()[0]
    assert first == (BID, Decimal("999999999.999999999"), None, TIME, "test", date(2024, 10, 4))
    described = {name: kind for name, kind, *_ in duckdb.sql(f"describe select * from {quotes}").fetchall()}
    assert (described["bid"], described["time"], described["ts_event"]) == ("DECIMAL(18,9)", "TIMESTAMP", "BIGINT")
    bucket = f"select date_trunc('second', time), sum(bid) from {quotes} where date = '2024-10-04' group by 1"
    assert duckdb.sql(bucket).fetchall() == [(TIME, Decimal("1.386759999"))]


def test_polars_reads_exact_prices(dataset):
    frame = pl.read_parquet(dataset).sort("ordinal")
    assert frame["bid"].to_list() == [BID, Decimal("-0.000000001"), Decimal("0.000000001")]
    assert frame.schema["bid"] == pl.Decimal(18, 9)
    assert frame["time"][0] == TIME
    assert frame["provider"].to_list() == ["test"] * 3


def test_pandas_reads_exact_prices_and_computes_on_them(dataset):
    frame = pd.read_parquet(dataset, dtype_backend="pyarrow").sort_values("ordinal")
    assert frame["bid"].tolist() == [BID, Decimal("-0.000000001"), Decimal("0.000000001")]
    assert frame["bid"].sum() == BID
    assert frame["time"].iloc[0] == pd.Timestamp(TIME)
    assert frame["provider"].tolist() == ["test"] * 3


def test_pyarrow_reads_plain_types(dataset):
    table = pq.read_table(dataset)
    assert table.schema.field("symbol").type == pa.string()
    assert table.schema.field("bid").type == pa.decimal128(18, 9)
    assert table.num_rows == 3


def test_float_prices_and_another_compression(tmp_path):
    drive(ParquetSink(tmp_path, prices="float64", compression="none"), trades(0))
    with pq.ParquetFile(tmp_path / files(tmp_path)[0]) as file:
        assert file.read()["price"].to_pylist() == [1.38676]
        assert file.metadata.row_group(0).column(0).compression == "UNCOMPRESSED"


# --- the store --------------------------------------------------------------------------------------------------


def test_the_store_is_the_dataset_in_the_data_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("MDP__DATA_DIR", str(tmp_path))
    drive(StoreSink(), trades(1))
    assert files(tmp_path) == [f"parquet/{FOLDER}/demo-3-00000.parquet"]


def test_the_data_directory_is_the_users_unless_named(tmp_path, monkeypatch):
    monkeypatch.delenv("MDP__DATA_DIR", raising=False)
    assert StoreSink().path.parent.name == "market-data-pipeline"
    assert StoreSink(tmp_path).path == tmp_path / "parquet"


def test_the_argument_of_a_one_liner_is_the_path():
    assert {next(iter(model.model_fields)) for model in (ParquetSettings, StoreSettings)} == {"path"}


def test_the_settings_are_the_constructor(tmp_path):
    ParquetSink(**ParquetSettings(path=tmp_path).model_dump())
    StoreSink(**StoreSettings(path=tmp_path).model_dump())
