"""The epochs of what can be computed again: 48 bits that stand for all that it depends on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b

from market_data_pipeline.contracts import BarsRequest
from market_data_pipeline.model import Kind, Origin
from market_data_synthetic.settings import SyntheticSettings

VERSION = 1
"""Of the ticks: another one for other ticks from the same settings, so that they never share an epoch."""


def origin(epoch: int) -> Origin:
    """Return the origin of what has this epoch."""
    return Origin("synthetic", "synthetic", epoch, "synthetic")


def run_epoch(settings: SyntheticSettings, kinds: Sequence[Kind], symbols: Sequence[str]) -> int:
    """Return the epoch of a run that starts at a given time."""
    return _epoch(
        VERSION,
        settings.seed,
        settings.first,
        settings.period,
        settings.trade_share,
        str(settings.tick_size.normalize()),
        kinds,
        symbols,
    )


def connection_epoch(run: int, number: int) -> int:
    """Return the epoch of one of the connections of a run that loses some."""
    return _epoch("connection", run, number)


def bars_epoch(settings: SyntheticSettings, request: BarsRequest) -> int:
    """Return the epoch of bars; their end is no part of it, since the same bars come first whatever the end."""
    return _epoch(
        VERSION,
        "bars",
        settings.seed,
        settings.period,
        settings.trade_share,
        str(settings.tick_size.normalize()),
        request.symbol,
        request.start,
        request.interval_ns,
        request.basis,
    )


def chain_epoch(settings: SyntheticSettings, underlying: str, time: int) -> int:
    """Return the epoch of an option chain at a time."""
    return _epoch(VERSION, "chain", settings.seed, str(settings.tick_size.normalize()), underlying, time)


def _epoch(*parts: object) -> int:
    return int.from_bytes(blake2b(json.dumps(parts).encode(), digest_size=6).digest(), "big")
