"""Recorded bars as history."""

import pytest

from market_data_pipeline.contracts import BarsRequest
from market_data_pipeline.errors import InvalidRequest, SourceClosed, UnknownSymbol
from market_data_pipeline.model import Batch, parse_time
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import simulate
from market_data_replay.provider import ReplayProvider
from market_data_replay.settings import ReplaySettings

MINUTE = 60 * 10**9
START = 1_767_268_800 * 10**9


@pytest.fixture
def path(tmp_path):
    """One- and five-minute bars of two symbols, the first of bid and ask."""
    path = tmp_path / "a.csv"
    lines = [
        f"{symbol},{START + number * MINUTE},{START + (number + length) * MINUTE},{number + 1},9,1,2,{basis}\n"
        for length, basis in ((1, "bid"), (1, "ask"), (5, "bid"))
        for number in range(0, 20, length)
        for symbol in ("X", "Y")
    ]
    lines.sort(key=lambda line: line.split(",")[2])
    path.write_text("symbol,start,end,open,high,low,close,basis\n" + "".join(lines))
    return path


def ask(path, symbol="X", *, start=0, end=20, interval=MINUTE, basis="bid", begin=START, limits=None, **settings):
    async def program(loop):
        provider = ReplayProvider(
            ReplaySettings(path=path, **settings, **limits or {}), ServiceFactory(loop).of("replay")
        )
        request = BarsRequest(
            symbol=symbol, start=begin + start * MINUTE, end=begin + end * MINUTE, interval_ns=interval, basis=basis
        )
        items = [item async for item in provider.get_historical_bars(request)]
        assert all(isinstance(item, Batch) for item in items)
        return [row for item in items for row in item.rows]

    return simulate(program)


def test_bars_are_of_the_asked_symbol_interval_basis_and_range(path):
    rows = ask(path, kind="bar", start=3, end=7)
    assert [(row.start - START) // MINUTE for row in rows] == [3, 4, 5, 6]
    assert {(row.symbol, row.basis, row.end - row.start) for row in rows} == {("X", "bid", MINUTE)}
    assert [(row.start - START) // MINUTE for row in ask(path, kind="bar", interval=5 * MINUTE)] == [0, 5, 10, 15]


def test_the_range_of_the_settings_holds_too(path):
    limits = {"start": START + 2 * MINUTE, "end": START + 5 * MINUTE, "speed": 1, "loop": "forever"}
    assert len(ask(path, kind="bar", limits=limits)) == 3
    assert ask(path, kind="bar", start=5, limits=limits) == []


def test_another_interval_or_basis_says_what_is_there(path):
    with pytest.raises(InvalidRequest, match=r"no bars of 15s and basis mid for X: .*1m of ask, 1m of bid, 5m of bid"):
        ask(path, kind="bar", interval=15 * 10**9, basis="mid")


def test_a_symbol_that_is_not_there_is_unknown(path):
    with pytest.raises(UnknownSymbol, match="no Z in"):
        ask(path, "Z", kind="bar")


def test_a_range_without_bars_has_none(path):
    assert ask(path, kind="bar", start=100, end=200) == []


def test_bars_in_disorder_are_ordered_or_refused(tmp_path):
    path = tmp_path / "a.csv"
    head = "symbol,start,open,high,low,close\n"
    path.write_text(head + "".join(f"X,{START + number * MINUTE},1,1,1,1\n" for number in (2, 0, 1)))
    rows = ask_trades(path)
    assert [(row.start - START) // MINUTE for row in rows] == [0, 1, 2]
    path.write_text(head + "".join(f"X,{START + (number % 70_000) * MINUTE},1,1,1,1\n" for number in range(70_001)))
    with pytest.raises(InvalidRequest, match="go back in time"):
        ask_trades(path)


def ask_trades(path):
    async def program(loop):
        settings = ReplaySettings(path=path, kind="bar", interval=MINUTE)
        provider = ReplayProvider(settings, ServiceFactory(loop).of("replay"))
        request = BarsRequest(symbol="X", start=START, end=START + 10**6 * MINUTE, interval_ns=MINUTE)
        return [row async for batch in provider.get_historical_bars(request) for row in batch.rows]

    return simulate(program)


def test_a_closed_provider_has_no_history(path):
    async def program(loop):
        provider = ReplayProvider(ReplaySettings(path=path, kind="bar"), ServiceFactory(loop).of("replay"))
        await provider.close()
        request = BarsRequest(symbol="X", start=0, end=1, interval_ns=MINUTE)
        with pytest.raises(SourceClosed):
            await anext(provider.get_historical_bars(request))

    simulate(program)


@pytest.mark.parametrize(("interval", "first"), [(10**9, "00:00:01"), (MINUTE, "00:00:00")])
def test_lean_has_seconds_and_minutes(lean, interval, first):
    lean("crypto/coinbase/second/btcusd/20140501_trade.zip", "1000,1,2,1,2,5\n2000,2,2,2,2,5\n")
    path = lean("crypto/coinbase/minute/btcusd/20140501_trade.zip", "0,1,2,1,2,5\n60000,2,2,2,2,5\n").parents[4]
    day = parse_time("2014-05-01T00:00:00Z")
    rows = ask(path, "BTCUSD", begin=day, end=5, interval=interval, basis="trade")
    assert [row.end - row.start for row in rows] == [interval] * 2
    assert f"{rows[0].timestamp:%H:%M:%S}" >= first


def test_databento_bars_are_history_too(shared_data):
    (path,) = (shared_data / "nautilus/databento/historical_bars_catalog/databento").glob("futures_ohlcv*")
    begin = parse_time("2024-07-01T23:40:00Z")
    rows = ask(path, "ESU4", begin=begin, end=10, basis="trade")
    assert [row.start for row in rows] == sorted(row.start for row in rows)
    assert {(row.start - begin) // MINUTE for row in rows} == set(range(10))
