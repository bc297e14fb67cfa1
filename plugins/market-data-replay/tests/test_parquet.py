"""The pipeline's own Parquet files."""

import logging
from datetime import UTC, datetime

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.errors import InvalidRequest, UnknownSymbol
from market_data_pipeline.model import Bar, BarBatch, Flag, Origin, Quote, QuoteBatch, Trade, TradeBatch
from market_data_pipeline.model.arrow import to_arrow
from market_data_replay.formats.contract import Query, Tally
from market_data_replay.formats.parquet import PARQUET

LIVE = Origin("acme", "acme", 7, "live")
REPLAYED = Origin("acme", "replay", 7, "live")
SECOND = 10**9
NOON = 1_767_268_800 * SECOND


def quote(number, *, symbol="AAPL", ts=None, origin=LIVE, bid=1_380_000_000):
    ts = NOON + number * SECOND if ts is None else ts
    return Quote(symbol, ts, ts + 5, number, 0, origin, bid, None, 100.0, None)


def trade(number, *, symbol="AAPL", origin=LIVE):
    ts = NOON + number * SECOND
    return Trade(symbol, ts, ts + 5, number, Flag.SNAPSHOT, origin, 1_390_000_000, 2.5, f"t{number}", "buy", "F,T")


def bar(number, *, symbol="AAPL", origin=LIVE):
    start = NOON + number * SECOND
    end = start + SECOND
    return Bar(symbol, end, end + 5, number, 0, origin, start, end, 1, 4, 1, 3, 10.0, None, 3, "mid", 1, False, True)


@pytest.fixture
def dataset(tmp_path):
    """Write batches as files: `dataset("a", [rows], [rows])`; `without` leaves columns out."""

    def write(name, *groups, without=(), change=None):
        path = tmp_path / "data" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        kinds = {Quote: QuoteBatch, Trade: TradeBatch, Bar: BarBatch}
        tables = [pa.Table.from_batches([to_arrow(kinds[type(rows[0])](rows))]) for rows in groups]
        tables = [(change or (lambda table: table))(table.drop_columns(list(without))) for table in tables]
        with pq.ParquetWriter(path, tables[0].schema, store_decimal_as_integer=True, store_schema=False) as writer:
            for table in tables:
                writer.write_table(table)
        return path

    return write


def replayed(row):
    return type(row)(**{name: getattr(row, name) for name in row.__struct_fields__} | {"origin": REPLAYED})


@pytest.mark.parametrize("make", [quote, trade, bar])
def test_rows_come_back_as_they_were_recorded(play, dataset, make):
    rows = [make(number, symbol=symbol) for number, symbol in enumerate(["AAPL", "MSFT", "AAPL"])]
    played = play(dataset("a", rows))
    assert played.rows == [replayed(row) for row in rows]
    assert {batch.born for batch in played.batches} == {"columns"}


@pytest.mark.parametrize("conditions", [("F", "F"), ("F", "T"), ("F", None), (None, None)])
def test_columns_of_one_value_are_those_of_one_value_in_all_row_groups(play, dataset, conditions):
    first, second = ([trade(number) for number in numbers] for numbers in ((0, 1), (2, 3)))
    first, second = (
        [msgspec.structs.replace(row, conditions=one, side=one and "buy") for row in rows]
        for rows, one in zip((first, second), conditions, strict=True)
    )
    path = dataset("a", first, second)
    assert play(path).rows == [replayed(row) for row in (*first, *second)]


def test_files_are_merged_by_time_and_batches_cut_where_kind_or_origin_change(play, dataset):
    later = Origin("acme", "acme", 8, "delayed")
    dataset("a", [quote(0), quote(3), quote(4)], [quote(9, origin=later)])
    path = dataset("b", [trade(1), trade(2), trade(9)]).parent
    played = play(path)
    assert [row.ordinal for row in played.rows] == [0, 1, 2, 3, 4, 9, 9]
    assert [(batch.kind, len(batch)) for batch in played.batches] == [
        *(("quote", 1), ("trade", 2), ("quote", 2), ("quote", 1), ("trade", 1)),
    ]
    assert [event.origin.epoch for event in played.events] == [7, 8]


def test_only_the_wanted_kinds_are_played(play, dataset):
    dataset("a", [quote(0)])
    path = dataset("b", [trade(1)]).parent
    assert [row.kind for row in play(path, kinds=["trade"]).rows] == ["trade"]
    with pytest.raises(InvalidRequest, match=r"no bar rows for any symbol in .*: it has quote, trade"):
        play(path, kinds=["bar"])


@pytest.mark.parametrize("without", [["epoch"], ["ordinal"], ["epoch", "ordinal", "ts_recv"]])
def test_a_file_without_identities_gets_its_first_time_and_row_numbers(play, dataset, without):
    rows = play(dataset("a", [quote(5), quote(6), quote(7)], without=without)).rows
    assert [row.ordinal for row in rows] == [0, 1, 2]
    assert {row.origin for row in rows} == {Origin("acme", "replay", NOON + 5 * SECOND, "live")}


def test_a_file_without_receipts_says_so(play, dataset):
    (row,) = play(dataset("a", [quote(5)], without=["ts_recv"])).rows
    assert row.ts_recv == row.ts_event
    assert row.flags == Flag.TS_RECV_IS_EVENT


def test_files_without_identities_never_share_one(play, dataset):
    dataset("a", [quote(0), quote(1)], without=["epoch", "ordinal"])
    path = dataset("b", [quote(0, symbol="MSFT"), quote(1, symbol="MSFT")], without=["epoch", "ordinal"]).parent
    rows = play(path).rows
    assert [row.symbol for row in rows] == ["AAPL", "MSFT", "AAPL", "MSFT"]
    assert [row.ordinal for row in rows] == [0, 1, 2, 3]


def test_symbols_are_filtered(play, dataset):
    path = dataset("a", [quote(number, symbol=f"S{number % 3}") for number in range(9)])
    assert [row.ordinal for row in play(path, "S2", "S0").rows] == [0, 2, 3, 5, 6, 8]


def test_a_symbol_that_never_came_is_refused_at_the_end(play, dataset):
    path = dataset("a", [quote(0)])
    *_, refused = play(path, "AAPL", "MSFT").items
    assert refused.symbols == {"MSFT"}
    assert refused.ts == NOON + 5
    with pytest.raises(UnknownSymbol, match=r"no APPL in .*: did you mean 'AAPL'"):
        play(path, "APPL")


@pytest.mark.parametrize(("start", "end", "numbers"), [(3, None, [3, 4, 5]), (None, 2, [0, 1]), (1, 4, [1, 2, 3])])
def test_a_range_is_half_open_and_skips_row_groups(play, dataset, start, end, numbers):
    path = dataset("a", [quote(0), quote(1)], [quote(2), quote(3)], [quote(4), quote(5)])
    moment = lambda number: None if number is None else NOON + number * SECOND  # noqa: E731
    assert [row.ordinal for row in play(path, start=moment(start), end=moment(end)).rows] == numbers


def test_of_a_bar_its_start_is_in_the_range(play, dataset):
    path = dataset("a", [bar(0), bar(1), bar(2)])
    rows = play(path, start=datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC), end="2026-01-01T12:00:02Z").rows
    assert [row.ordinal for row in rows] == [1]


def test_partitions_outside_of_the_request_are_not_opened(play, tmp_path, dataset):
    folder = tmp_path / "set"
    for partition in ("kind=trade/provider=acme/date=2026-01-01", "kind=quote/provider=acme/date=2025-12-31"):
        (folder / partition).mkdir(parents=True)
        (folder / partition / "a.parquet").write_bytes(b"never read")
    good = folder / "kind=quote/provider=acme/date=2026-01-01"
    good.mkdir()
    dataset("a", [quote(0)]).rename(good / "a.parquet")
    assert len(play(folder, kinds=["quote"], start="2026-01-01T00:00Z").rows) == 1


@pytest.mark.parametrize("date", ["2025-13-01", "new"])
def test_a_folder_that_is_no_day_is_read(play, tmp_path, dataset, date):
    folder = tmp_path / "set" / f"date={date}"
    folder.mkdir(parents=True)
    dataset("a", [quote(0)]).rename(folder / "a.parquet")
    assert len(play(folder.parent, start="2026-01-01T00:00Z").rows) == 1


def test_nothing_in_the_range_is_an_error(play, dataset):
    with pytest.raises(InvalidRequest, match="none between start and end"):
        play(dataset("a", [quote(0)]), start="2027-01-01T00:00Z")


def test_a_file_that_is_no_parquet_is_a_clear_error(play, tmp_path):
    path = tmp_path / "a.parquet"
    path.write_text("not at all")
    with pytest.raises(InvalidRequest, match=r"a\.parquet is not the Parquet file that its name says"):
        play(path)


def test_a_damaged_file_is_a_clear_error(play, dataset):
    path = dataset("a", [quote(number) for number in range(1000)])
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396
    path.write_bytes(data)
    with pytest.raises(InvalidRequest, match=r"a\.parquet is not"):
        play(path)


def test_other_columns_are_a_clear_error(play, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(InvalidRequest, match=r"is not what the pipeline writes: .* x"):
        play(path)


def test_a_column_that_is_not_there_is_a_clear_error(play, dataset):
    with pytest.raises(InvalidRequest, match=r"do not read as quote rows \(there is no column 'ts_event'"):
        play(dataset("a", [quote(0)], change=lambda table: table.drop_columns(["ts_event"])))


def test_a_column_of_another_type_is_a_clear_error(play, dataset):
    def words(table):
        return table.set_column(table.schema.get_field_index("bid"), "bid", pa.array(["a"] * len(table)))

    with pytest.raises(InvalidRequest, match="is not what it claims to be: its rows do not read as quote rows"):
        play(dataset("a", [quote(number) for number in range(200)], change=words))


def test_a_malformed_row_is_skipped_counted_and_reported_with_its_place(play, dataset, caplog):
    def broken(table):
        values = np.array([1.5, 1e10, 1.7])
        return table.set_column(table.schema.get_field_index("bid"), "bid", pa.array(values))

    path = dataset("a", [quote(0), quote(1), quote(2)], change=broken)
    played = play(path)
    assert [(row.ordinal, row.bid) for row in played.rows] == [(0, 1.5), (2, 1.7)]
    assert "1 malformed rows skipped" in played.status.detail
    assert f"{path}:2: row skipped" in caplog.text


def test_a_row_that_goes_back_in_time_keeps_its_place(play, dataset):
    dataset("a", [quote(1, ts=NOON + 10), quote(2, ts=NOON + 5), quote(3, ts=NOON + 20)])
    path = dataset("b", [quote(4, symbol="MSFT", ts=NOON + 7), quote(5, symbol="MSFT", ts=NOON + 12)]).parent
    assert [row.ordinal for row in play(path).rows] == [4, 1, 2, 5, 3]


def test_memory_does_not_grow_with_the_length_of_a_file(tmp_path):
    def peak(groups):
        path = tmp_path / f"{groups}.parquet"
        rng = np.random.default_rng(1)
        table = pa.Table.from_batches([to_arrow(QuoteBatch([quote(number) for number in range(5000)]))])
        with pq.ParquetWriter(path, table.schema, store_schema=False, use_dictionary=False) as writer:
            for _ in range(groups):
                index = table.schema.get_field_index("bid_size")
                writer.write_table(table.set_column(index, "bid_size", pa.array(rng.random(5000))))
        (run,) = PARQUET.find([path], Query(path=path, kinds=frozenset({"quote"}))).runs
        before = pa.total_allocated_bytes()
        return max(pa.total_allocated_bytes() - before for _ in run.chunks(Tally(logging.getLogger("test")), 1000))

    assert peak(80) < 1.2 * peak(10)
