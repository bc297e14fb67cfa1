"""What Lean's paths say about the text in the files: columns, price scale and time zone.

Sources: the readme.md in each of Lean's data folders, and `dataTimeZone` in its market-hours-database.json.
"""

from __future__ import annotations

from typing import Literal

import attrs

TickType = Literal["trade", "quote"]


@attrs.frozen
class Market:
    """How one market of one asset class is written."""

    zone: str
    """Times are milliseconds since midnight there."""
    shift: int
    """Prices are integers of 10**-shift; 0 is plain decimals."""


_DECI_CENTS = 4
_MARKETS = {
    ("equity", "usa"): Market("America/New_York", _DECI_CENTS),
    ("option", "usa"): Market("America/New_York", _DECI_CENTS),
    ("indexoption", "usa"): Market("America/New_York", _DECI_CENTS),
    ("index", "usa"): Market("America/Chicago", 0),
    ("forex", "oanda"): Market("UTC", 0),
    ("crypto", "*"): Market("UTC", 0),
    **{("future", exchange): Market("UTC", 0) for exchange in ("cbot", "cfe", "cme", "comex", "nymex")},
}

CONTRACTS = frozenset({"future", "option", "indexoption"})
"""Asset classes whose zips hold one file per contract, named by its terms."""

_TICKS: dict[tuple[str, TickType], tuple[str, ...]] = {
    ("equity", "trade"): ("ms", "px", "size", "exchange", "conditions", "suspicious"),
    ("equity", "quote"): (
        *("ms", "bid_px", "bid_size", "ask_px", "ask_size"),
        *("exchange", "quote_conditions", "suspicious"),
    ),
    ("forex", "quote"): ("ms", "bid_px", "ask_px"),
    ("crypto", "trade"): ("ms", "px", "size"),
    ("crypto", "quote"): ("ms", "bid_px", "bid_size", "ask_px", "ask_size"),
    ("future", "trade"): ("ms", "px", "size", "exchange", "conditions", "suspicious"),
}
PRICES = ("open_px", "high_px", "low_px", "close_px")
SIDES: tuple[Literal["bid"], Literal["ask"]] = ("bid", "ask")
_BARS: dict[TickType, tuple[str, ...]] = {
    "trade": ("ms", *PRICES, "volume"),
    "quote": ("ms", *(f"{side}_{name}" for side in SIDES for name in (*PRICES, "size"))),
}


def find_market(asset: str, market: str) -> Market | None:
    """Return how a market is written; None if that is not known."""
    return _MARKETS.get((asset, market)) or _MARKETS.get((asset, "*"))


def find_layout(asset: str, resolution: str, tick_type: TickType) -> tuple[str, ...] | None:
    """Return the columns of a file, in order; None if they are not known."""
    return _TICKS.get((asset, tick_type)) if resolution == "tick" else _BARS[tick_type]
