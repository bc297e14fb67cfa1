"""What the ticks are."""

from decimal import Decimal
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.model import to_px
from market_data_synthetic.hours import SPREAD, VOLUME
from market_data_synthetic.market import Market
from market_data_synthetic.noise import keys
from market_data_synthetic.path import COARSE, FINE, ONE, Path
from market_data_synthetic.settings import DEFAULT_START, SyntheticSettings

BOTH = frozenset({"quote", "trade"})
DAY = 86_400 * 10**9
HOUR = 3_600 * 10**9
WORD = 2**64 - 1

RATES = st.sampled_from([0.001, 0.05, 0.9, 3.0, 1000.0, 1e6])
SEEDS = st.integers(0, WORD)
SYMBOLS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=5, unique=True)
TIMES = st.integers(0, 2**62)


def ticks(symbols, start, *, slots=50, kinds=BOTH, **settings):
    settings = SyntheticSettings(**settings)
    return Market(symbols, settings).ticks(start // settings.period, slots, kinds)


def draw(key: int, counter: int) -> int:
    z = (counter * 0x9E3779B97F4A7C15 + key) & WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31


def displacement(key: int, node: int, level: int) -> int:
    return ((draw(key, node << 6 | level) >> 48).bit_count() - 8) * int((26_765**2 << (level - FINE)) ** 0.5)


def path(key: int, time: int) -> int:
    """Go down from the coarsest level, in Python's own integers."""
    node = time >> COARSE
    left, right = displacement(key, node, COARSE), displacement(key, node + 1, COARSE)
    for level in range(COARSE - 1, FINE - 1, -1):
        middle = (left + right >> 1) + displacement(key, 2 * node + 1, level)
        node = time >> level
        left, right = (middle, right) if node & 1 else (left, middle)
    return left + ((right - left) * (time & 2**FINE - 1) >> FINE)


def quote(seed: int, symbol: str, period: int, slot: int) -> tuple[int, int, int]:
    """Compute time, bid and ask (in ticks) of one quote by itself."""
    digest = blake2b(symbol.encode(), digest_size=40, salt=seed.to_bytes(16, "little")).digest()
    base, walk, offset, noise, _ = (int.from_bytes(digest[place : place + 8], "little") for place in range(0, 40, 8))
    time = slot * period + ((draw(offset, slot) >> 40) * (period - 1) >> 24)
    mid = (base % 48_000 + 2_000) * (2**ONE + path(walk, time)) >> ONE - 16
    spread = 1 + ((draw(noise, time) >> 48) * int(SPREAD[time // HOUR % 24]) >> 16)
    bid = mid - (spread << 15) >> 16
    return time, bid, bid + spread


@given(SEEDS, SYMBOLS, TIMES, RATES)
def test_each_quote_can_be_computed_alone(seed, symbols, start, rate):
    period = SyntheticSettings(rate=rate).period
    quotes = ticks(symbols, start, seed=seed, rate=rate, tick_size=Decimal("1e-9"))["quote"]
    rows = zip(*(quotes[name].tolist() for name in ("symbol", "ts_event", "bid_px", "ask_px")), strict=True)
    first = start // period
    expected = [
        (index, *quote(seed, symbol, period, slot))
        for slot in range(first, first + 50)
        for index, symbol in enumerate(symbols)
    ]
    assert list(rows) == sorted(expected, key=lambda row: (row[1], row[0]))


@given(SEEDS, SYMBOLS, TIMES, RATES, st.sampled_from(["0.01", "0.00001", "0.25", "1000"]))
def test_prices_are_on_the_grid_and_the_bid_is_below_the_ask(seed, symbols, start, rate, tick_size):
    found = ticks(symbols, start, seed=seed, rate=rate, tick_size=Decimal(tick_size))
    bid, ask, px = found["quote"]["bid_px"], found["quote"]["ask_px"], found["trade"]["px"]
    assert (bid > 0).all()
    assert (bid < ask).all()
    assert not (np.concatenate([bid, ask, px]) % to_px(tick_size)).any()
    assert (ask <= to_px("999999999")).all()


@given(SEEDS, SYMBOLS, TIMES, RATES)
def test_trades_are_at_the_bid_or_ask_of_their_symbol_at_their_time(seed, symbols, start, rate):
    found = ticks(symbols, start, seed=seed, rate=rate, trades_per_quote=1)
    quotes, trades = found["quote"], found["trade"]
    assert len(trades["px"]) == 50 * len(symbols)
    for symbol, time, px, side in zip(*(trades[n] for n in ("symbol", "ts_event", "px", "side")), strict=True):
        last = np.flatnonzero((quotes["symbol"] == symbol) & (quotes["ts_event"] < time))[-1]
        assert px == quotes["ask_px" if side == 1 else "bid_px"][last]


@given(SEEDS, SYMBOLS, TIMES, RATES)
def test_rows_are_in_the_order_of_time_then_of_symbols(seed, symbols, start, rate):
    for columns in ticks(symbols, start, seed=seed, rate=rate).values():
        rows = list(zip(columns["ts_event"].tolist(), columns["symbol"].tolist(), strict=True))
        assert rows == sorted(set(rows))


@given(st.integers(1, 60), st.integers(1, 60), RATES)
def test_a_stretch_of_time_is_the_sum_of_its_parts(one, other, rate):
    settings = SyntheticSettings(rate=rate)
    first = DEFAULT_START // settings.period
    parts = Market(["A", "B"], settings)
    for kind in BOTH:
        whole = Market(["A", "B"], settings).ticks(first, one + other, BOTH)[kind]
        halves = parts.ticks(first, one, BOTH)[kind], parts.ticks(first + one, other, BOTH)[kind]
        for name, column in whole.items():
            np.testing.assert_array_equal(column, np.concatenate([half[name] for half in halves]))


@pytest.mark.parametrize("kind", sorted(BOTH))
def test_a_kind_does_not_depend_on_whether_the_other_is_wanted(kind):
    both, alone = ticks(["A", "B"], DEFAULT_START)[kind], ticks(["A", "B"], DEFAULT_START, kinds={kind})[kind]
    for name, column in both.items():
        np.testing.assert_array_equal(column, alone[name])


def test_other_symbols_change_nothing():
    alone = ticks(["B"], DEFAULT_START)
    among = ticks(["A", "B", "C"], DEFAULT_START)
    for kind, columns in alone.items():
        hers = among[kind]["symbol"] == 1
        for name, column in columns.items():
            if name != "symbol":
                np.testing.assert_array_equal(column, among[kind][name][hers])


def test_trades_follow_the_wanted_share_of_the_quotes():
    found = ticks([f"S{n}" for n in range(100)], DEFAULT_START, slots=200, trades_per_quote=0.25)
    assert 0.24 < len(found["trade"]["px"]) / len(found["quote"]["bid_px"]) < 0.26


@pytest.mark.parametrize("tick_size", [Decimal("0.01"), Decimal(1)])
def test_spreads_are_wide_at_the_opening_and_volume_is_high_at_both_ends_of_the_session(tick_size):
    spread, volume = {}, {}
    for hour in (14, 17, 20):
        found = ticks(["A"], DEFAULT_START // DAY * DAY + hour * HOUR, slots=3000, rate=1, tick_size=tick_size)
        spread[hour] = (found["quote"]["ask_px"] - found["quote"]["bid_px"]).mean() / to_px(tick_size)
        volume[hour] = found["trade"]["size"].sum()
    assert spread[14] > 2 * spread[20] > 2 * spread[17]
    assert min(volume[14], volume[20]) > 2 * volume[17]
    assert spread[14] == pytest.approx((1 + SPREAD[14]) / 2, rel=0.05)
    assert volume[17] / len(found["trade"]["size"]) == pytest.approx(100 * VOLUME[17] / 4, rel=0.2)


def test_prices_move_by_about_two_percent_a_day_and_stay_near_their_base():
    symbols = [f"S{n}" for n in range(200)]
    walk = Path(keys(7, symbols)[1], DAY)
    days = np.arange(DEFAULT_START, DEFAULT_START + 400 * DAY, DAY)
    index = np.arange(len(symbols))
    values = np.array([walk.at(index, np.full(200, day), day, day + 1) for day in days]) / 2**ONE
    assert np.diff(values, axis=0).std() == pytest.approx(0.02, rel=0.1)
    assert abs(values).max() < 0.4


def test_base_prices_differ_by_symbol_and_seed():
    found = {
        ticks([symbol], DEFAULT_START, seed=seed, slots=1)["quote"]["bid_px"][0] for symbol in "ABC" for seed in (1, 2)
    }
    assert len(found) == 6
