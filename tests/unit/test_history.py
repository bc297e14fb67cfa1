"""History and option chains as tables, exactly."""

import asyncio
import sys
from datetime import date
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Bar, BarBatch, History, OptionChain, OptionQuote, Origin, to_px
from market_data_pipeline.sink import ParquetSink

ORIGIN = Origin("acme", "acme", 7, "backfill")


def history(*batches):
    return History(symbol="A", start=0, end=9, interval_ns=1, basis="trade", batches=batches)


def bars(*starts):
    price = to_px("1.000000001")
    return BarBatch(
        [Bar("A", n + 1, n, n, 0, ORIGIN, n, n + 1, price, price, price, price, 2.0, None, 1) for n in starts]
    )


def option(strike, right, expiry="2026-01-16", **market):
    return OptionQuote(f"A{strike}{right}", "A", expiry, to_px(strike), right, 1, 2, ORIGIN, **market)


CHAIN = OptionChain(
    underlying="A",
    rows=(
        option(100, "call", bid_px=to_px("0.05"), delta=0.5, underlying_px=to_px("99.5")),
        option(100, "put"),
        option(100, "call", "2026-02-20"),
    ),
)


def test_bars_become_one_table():
    table = history(bars(0, 1), bars(3)).to_arrow()
    assert table.column("start").to_pylist() == [0, 1, 3]
    assert table.column("close").to_pylist() == [Decimal("1.000000001")] * 3
    assert table.column("vwap").null_count == 3


def test_no_bars_become_an_empty_table():
    table = history().to_arrow()
    assert table.num_rows == 0
    assert table.schema == history(bars(0)).to_arrow().schema


@pytest.mark.parametrize("to", ["to_pandas", "to_polars"])
def test_frames_keep_exact_prices(to):
    frame = getattr(history(bars(0, 1)), to)()
    assert list(frame["high"]) == [Decimal("1.000000001")] * 2
    assert list(getattr(CHAIN, to)()["strike"]) == [Decimal(100)] * 3


def test_frames_can_be_computed_with():
    """Arrow has no functions for the 64-bit decimals that rows become on their way into files."""
    frame = history(bars(0, 1)).to_pandas()
    assert frame["close"].mean() == frame.groupby("symbol")["close"].max()["A"] == Decimal("1.000000001")
    assert list(frame.sort_values("close")["start"]) == [0, 1]
    assert frame["close"].dtype == CHAIN.to_pandas()["strike"].dtype


def test_a_table_of_bars_has_the_types_of_a_file_that_was_read(tmp_path):
    table = history(bars(0, 1)).to_arrow()
    sink = ParquetSink(tmp_path)

    async def write():
        await sink.open("one")
        await sink.write(bars(0, 1))
        await sink.commit(None, b"")
        await sink.close()

    asyncio.run(write())
    (file,) = tmp_path.rglob("*.parquet")
    assert pq.ParquetFile(file).read().schema.remove_metadata() == table.schema.remove_metadata()


def test_a_chain_becomes_a_table():
    table = CHAIN.to_arrow()
    assert table.column("underlying").to_pylist() == ["A", "A", "A"]
    assert table.column("underlying_price").to_pylist() == [Decimal("99.5"), None, None]
    assert table.column("bid").to_pylist() == [Decimal("0.05"), None, None]
    assert table.column("expiry").to_pylist() == [date(2026, 1, 16), date(2026, 1, 16), date(2026, 2, 20)]
    assert table.column("delta").to_pylist() == [0.5, None, None]
    assert (table.column("provider")[0].as_py(), table.column("epoch")[0].as_py()) == ("acme", 7)
    assert table.schema == OptionChain(underlying="A", rows=()).to_arrow().schema


def test_a_chain_is_cut_by_right_and_expiry():
    assert CHAIN.expiries == ("2026-01-16", "2026-02-20")
    assert [row.right for row in CHAIN.at("2026-01-16")] == ["call", "put"]
    assert (len(CHAIN.calls), len(CHAIN.puts), len(CHAIN.calls.at("2026-02-20"))) == (2, 1, 1)


@pytest.mark.parametrize(("to", "library"), [("to_pandas", "pandas"), ("to_polars", "polars")])
def test_a_library_that_is_missing_is_named(to, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match=f"{library} is not installed: run `pip install {library}`"):
        getattr(history(bars(0)), to)()
