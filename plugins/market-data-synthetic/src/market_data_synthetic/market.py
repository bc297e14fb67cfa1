"""The ticks of a stretch of time, as arrays.

Time is cut into slots of one period, counted from the epoch. In each slot each symbol has one quote, at a random time
in it, and perhaps a trade after the quote, at the bid or the ask of that quote. So any slot can be computed alone, and
other symbols change nothing about a symbol's ticks.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from market_data_pipeline.model import Kind, to_px
from market_data_synthetic.hours import SPREAD, VOLUME, hour_of
from market_data_synthetic.noise import Ints, Stream, Words, draw, keys
from market_data_synthetic.path import ONE, Path
from market_data_synthetic.settings import SyntheticSettings

Arrays: TypeAlias = dict[str, NDArray[Any]]
"""Columns by name, without those that the source stamps."""

SIDES = ("sell", "buy")
"""The words of the column `side`."""

_LOT = 100.0
_SUB = 16
"""The mid is kept in 2**-16 of a tick."""
_MASK_16 = np.uint64(0xFFFF)
_MASK_24 = np.uint64(0xFFFFFF)


class Market:
    """All symbols of one source."""

    def __init__(self, symbols: Sequence[str], settings: SyntheticSettings) -> None:
        self.symbols = len(symbols)
        self.period = settings.period
        self._trade_share = settings.trade_share
        self._tick_px = to_px(settings.tick_size)
        key = keys(settings.seed, symbols)
        self._slot, self._quote, self._trade = key[Stream.SLOT], key[Stream.QUOTE], key[Stream.TRADE]
        self._base = (key[Stream.BASE] % np.uint64(48_000)).astype(np.int64) + 2_000
        self._path = Path(key[Stream.PATH], self.period)
        self._symbols = np.arange(len(symbols), dtype=np.uint64)
        self._bits = np.uint64(max(1, len(symbols) - 1).bit_length())

    def ticks(self, first: int, slots: int, kinds: AbstractSet[Kind]) -> dict[Kind, Arrays]:
        """Return the ticks of so many slots by kind, each in the order of `ts_event`, then of the symbols."""
        start = first * self.period
        slot = np.arange(first, first + slots, dtype=np.uint64)[:, None]
        noise = draw(self._slot, slot)
        offset = (noise >> np.uint64(40)) * np.uint64(self.period - 1) >> np.uint64(24)
        # Symbol and time in one word, so that the fast sort of words gives the order.
        ordered = np.sort(offset << self._bits | self._symbols, axis=1)
        index = (ordered & np.uint64((1 << int(self._bits)) - 1)).astype(np.int64)
        ordered >>= self._bits
        symbol = index.ravel()
        ts_event = (ordered + slot * np.uint64(self.period)).view(np.int64).ravel()
        stop = start + slots * self.period
        if "trade" not in kinds:
            return {"quote": self._quotes(symbol, ts_event, start, stop)}

        noise = np.take_along_axis(noise, index, axis=1).ravel()
        traded = np.flatnonzero((noise & _MASK_16) < self._trade_share)
        rest = np.uint64(self.period - 1) - ordered.ravel()[traded]
        delay = (rest * (noise[traded] >> np.uint64(16) & _MASK_24) >> np.uint64(24)).view(np.int64) + 1
        if "quote" not in kinds:
            quotes = self._quotes(symbol[traded], ts_event[traded], start, stop)
            return {"trade": self._trades(quotes, delay, start)}
        quotes = self._quotes(symbol, ts_event, start, stop)
        hit = {name: column[traded] for name, column in quotes.items()}
        return {"quote": quotes, "trade": self._trades(hit, delay, start)}

    def px(self, time: int) -> int:
        """Return the mid of the first symbol at a time, before bid and ask are put on the grid around it."""
        (mid,) = self._mids(np.zeros(1, np.int64), np.array([time]), time, time + 1).tolist()
        px: int = mid * self._tick_px >> _SUB
        return px

    def _mids(self, symbol: Ints, time: Ints, start: int, stop: int) -> Ints:
        """Return the mids of symbols at times in [start, stop), in 2**-16 of a tick."""
        mid = self._path.at(symbol, time, start, stop)
        mid += 1 << ONE
        mid *= self._base[symbol]
        mid >>= ONE - _SUB
        return mid

    def _quotes(self, symbol: Ints, ts_event: Ints, start: int, stop: int) -> Arrays:
        """Return the quotes of symbols at times in [start, stop), with `symbol` as index."""
        noise = draw(self._quote[symbol], ts_event.view(np.uint64))
        hour = hour_of(ts_event)
        mid = self._mids(symbol, ts_event, start, stop)
        spread = 1 + (_bits(noise, 48) * SPREAD[hour] >> 16)
        bid = mid - (spread << (_SUB - 1)) >> _SUB
        depth = VOLUME[hour]
        return {
            "symbol": symbol,
            "ts_event": ts_event,
            "bid_px": bid * self._tick_px,
            "ask_px": (bid + spread) * self._tick_px,
            "bid_size": _LOT * (1 + (_bits(noise, 32) * depth >> 16)),
            "ask_size": _LOT * (1 + (_bits(noise, 16) * depth >> 16)),
        }

    def _trades(self, quotes: Arrays, delay: Ints, start: int) -> Arrays:
        """Return a trade for each quote, so many ns after it."""
        ts_event = quotes["ts_event"] + delay
        order = np.argsort(ts_event - start << int(self._bits) | quotes["symbol"])
        symbol, ts_event = quotes["symbol"][order], ts_event[order]
        noise = draw(self._trade[symbol], ts_event.view(np.uint64))
        buys = _bits(noise, 0) & 1
        skewed = _bits(noise, 48) * _bits(noise, 32) >> 16
        return {
            "symbol": symbol,
            "ts_event": ts_event,
            "px": np.where(buys, quotes["ask_px"][order], quotes["bid_px"][order]),
            "size": (1 + (skewed * VOLUME[hour_of(ts_event)] * int(_LOT) >> 16)).astype(np.float64),
            "side": buys,
        }


def _bits(noise: Words, place: int) -> Ints:
    """Return 16 bits of each word as an int."""
    return (noise >> np.uint64(place) & _MASK_16).view(np.int64)
