"""From the arrays of a Lean file to the columns of our rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from market_data_pipeline.model import Flag
from market_data_pipeline.model.columns import Columns
from market_data_replay.formats.lean.layout import PRICES, SIDES

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = Mapping[str, "NDArray[Any]"]
Words = tuple[str | None, ...]

_HOUR = 3_600_000_000_000
_SECOND = 1_000_000_000


class Day:
    """Turns times of day on the clock of a zone into ns since the epoch."""

    def __init__(self, day: date, zone: str) -> None:
        self._midnight = int(datetime.combine(day, time(), UTC).timestamp()) * _SECOND
        local = (datetime.combine(day, time(hour), ZoneInfo(zone)) for hour in range(24))
        offsets = [moment.utcoffset() for moment in local]
        self._offsets = np.array([int(offset.total_seconds()) * _SECOND for offset in offsets if offset is not None])
        self.start = self._midnight - int(self._offsets[0])
        """Its first moment, int ns."""
        self.end = self._midnight + 24 * _HOUR - int(self._offsets[-1])
        """The moment behind its last one, int ns."""

    def times(self, since_midnight: Array) -> Array:
        """Return ns since the epoch, UTC, for ns since midnight as the clock shows them."""
        shown: Array = self._midnight + since_midnight - self._offsets[since_midnight // _HOUR]
        return shown


def quotes(symbol: str, ts: Array, arrays: Arrays) -> Columns:
    """Return quotes; a price of 0 is a side that is not there, and a size that is not in the file is missing."""
    columns = _common(ts)
    for side, no_price, no_size in (("bid", Flag.NO_BID, Flag.NO_BID_SIZE), ("ask", Flag.NO_ASK, Flag.NO_ASK_SIZE)):
        px = columns[f"{side}_px"] = arrays[f"{side}_px"]
        size = arrays.get(f"{side}_size")
        columns[f"{side}_size"] = np.zeros(len(ts)) if size is None else size
        columns["flags"] |= np.where(px == 0, no_price | no_size, 0 if size is not None else no_size).astype("i4")
    return Columns(columns, {"symbol": (symbol,)})


def trades(symbol: str, ts: Array, arrays: Arrays, conditions: Words) -> Columns:
    """Return trades."""
    nothing = np.zeros(len(ts), "i4")
    columns = _common(ts)
    columns |= {"px": arrays["px"], "size": arrays["size"], "trade_id": nothing, "side": nothing}
    columns["conditions"] = arrays.get("conditions", nothing)
    return Columns(
        columns, {"symbol": (symbol,), "trade_id": (None,), "side": (None,), "conditions": conditions or (None,)}
    )


def trade_bars(symbol: str, start: Array, interval: int, arrays: Arrays) -> Columns:
    """Return bars of trades that begin at `start` and last `interval` ns."""
    prices = {name: arrays[name] for name in PRICES}
    return _bars(symbol, start, interval, prices=prices, volume=arrays["volume"], bases=("trade",))


def quote_bars(symbol: str, start: Array, interval: int, arrays: Arrays) -> Columns:
    """Return, for each line, the bar of its bid and then that of its ask; a side with prices of 0 has none."""
    prices = {name: np.stack([arrays[f"{side}_{name}"] for side in SIDES], axis=1).ravel() for name in PRICES}
    volume = np.zeros(2 * len(start))
    bars = _bars(symbol, np.repeat(start, 2), interval, prices=prices, volume=volume, bases=SIDES)
    return bars if prices["open_px"].all() else bars.take(np.flatnonzero(prices["open_px"]))


def _bars(
    symbol: str, start: Array, interval: int, *, prices: Arrays, volume: Array, bases: tuple[str, ...]
) -> Columns:
    count = len(start)
    columns = _common(start + interval)
    columns["flags"] |= np.int32(Flag.NO_VWAP)
    columns |= {"start": start, "end": columns["ts_event"], **prices, "volume": volume}
    columns |= {"vwap": np.zeros(count), "trades": np.zeros(count, "i8"), "revision": np.zeros(count, "i4")}
    columns["basis"] = np.resize(np.arange(len(bases), dtype="i4"), count)
    columns["is_final"] = columns["complete"] = np.ones(count, "?")
    return Columns(columns, {"symbol": (symbol,), "basis": bases})


def _common(ts: Array) -> dict[str, NDArray[Any]]:
    return {
        "symbol": np.zeros(len(ts), "i4"),
        "ts_event": ts,
        "ts_recv": ts,
        "flags": np.full(len(ts), Flag.TS_RECV_IS_EVENT, "i4"),
    }
