"""Ticks as arrays to ticks as a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from market_data_pipeline.model import BATCHES, Batch, Flag, Kind, Origin, Row
from market_data_pipeline.model.columns import Columns
from market_data_synthetic.market import SIDES, Arrays


def to_batch(
    kind: Kind,
    ticks: Arrays,
    symbols: Sequence[str],
    origin: Origin,
    *,
    ordinal: int,
    ts_recv: int | None = None,
    position: str | None = None,
) -> Batch[Row]:
    """Return ticks with what the source stamps: ordinals from `ordinal` on, unless they have some, and flags.

    Without a time of receipt, `ts_recv` is `ts_event`, and flagged.
    """
    size = len(ticks["ts_event"])
    stamps: Arrays = {"ordinal": np.arange(ordinal, ordinal + size), "flags": np.zeros(size, np.int32)}
    arrays = stamps | ticks
    words: dict[str, Sequence[str | None]] = {"symbol": symbols}
    if ts_recv is None:
        arrays["ts_recv"] = arrays["ts_event"]
        arrays["flags"] = arrays["flags"] | np.int32(Flag.TS_RECV_IS_EVENT)
    else:
        arrays["ts_recv"] = np.full(size, ts_recv)
    if kind == "trade":
        arrays["trade_id"] = arrays["conditions"] = np.zeros(size, np.int32)
        words |= {"trade_id": (None,), "conditions": (None,), "side": SIDES}
    return BATCHES[kind].from_columns(Columns(arrays, words), origin, position=position)
