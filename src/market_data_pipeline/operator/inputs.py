"""What the fold of columns reads of a batch. Imported on first use: it needs numpy."""

from __future__ import annotations

import numpy as np

from market_data_pipeline.model import SCALE, Basis, Batch, Flag, Row
from market_data_pipeline.model.columns import Array, Columns
from market_data_pipeline.operator.open_bar import INCOMPLETE, PROVISIONAL
from market_data_pipeline.operator.resample import check_fit

Arrays = dict[str, Array]
"""Equally long arrays by name."""

_COMMON = ("symbol", "ts_event", "ts_recv", "ordinal", "flags")
_SIDES: dict[Basis, int] = {"bid": Flag.NO_BID, "ask": Flag.NO_ASK, "mid": Flag.NO_BID | Flag.NO_ASK}


def read(batch: Batch[Row], basis: Basis, interval: int) -> Arrays:
    """Read the rows that have a price of this basis.

    Returns:
        `symbol`, `at` (a time within the interval), `ts_event`, `ts_recv`, `ordinal`, `flags`, `open_px`, `high_px`,
        `low_px`, `close_px`; of trades and bars `volume` and `notional`; of bars `trades`.

    Raises:
        OperatorError: A bar does not fit into the interval.
    """
    columns = batch.columns
    if batch.kind == "bar":
        return _read_bars(columns, basis, interval)
    if batch.kind == "trade":
        px, size = columns["px"], columns["size"]
        return _ticks(columns, px) | {"volume": size, "notional": px * size}
    inputs = _ticks(columns, columns["ask_px" if basis == "ask" else "bid_px"])
    if basis == "mid":
        both = columns["bid_px"] + columns["ask_px"]
        half = both >> 1
        half += both & 1 & half  # of two equally near ones the even
        inputs |= dict.fromkeys(("open_px", "high_px", "low_px", "close_px"), half)
        inputs["flags"] = inputs["flags"] | (both & 1) * Flag.INEXACT_PX
    missing = columns["flags"] & _SIDES[basis]
    return take(inputs, np.flatnonzero(missing == 0)) if missing.any() else inputs


def take(arrays: Arrays, index: Array | slice) -> Arrays:
    """Return the elements at `index` of every array; a slice copies nothing."""
    return {name: array[index] for name, array in arrays.items()}


def _ticks(columns: Columns, px: Array) -> Arrays:
    prices = dict.fromkeys(("open_px", "high_px", "low_px", "close_px"), px)
    return {name: columns[name] for name in _COMMON} | prices | {"at": columns["ts_event"]}


def _read_bars(columns: Columns, basis: Basis, interval: int) -> Arrays:
    start, end, volume, flags = columns["start"], columns["end"], columns["volume"], columns["flags"]
    names = (*_COMMON, "open_px", "high_px", "low_px", "close_px", "volume", "trades")
    no_price = (flags & Flag.NO_VWAP != 0) & (volume != 0)
    inputs = {name: columns[name] for name in names} | {
        "at": start,
        "end": end,
        "notional": np.where(no_price, np.nan, columns["vwap"] * SCALE * volume),
        "flags": flags | ~columns["is_final"] * PROVISIONAL | ~columns["complete"] * INCOMPLETE,
    }
    wanted = np.array([word == basis for word in columns.words["basis"]])[columns["basis"]]
    inputs = inputs if wanted.all() else take(inputs, np.flatnonzero(wanted))
    start, end = inputs["at"], inputs.pop("end")
    for length in np.unique(end - start).tolist():
        index = np.flatnonzero(end - start == length)
        offset = start[index] % interval
        worst = int(index[offset.argmax()])
        check_fit(int(start[worst]), int(end[worst]), interval)
    return inputs
