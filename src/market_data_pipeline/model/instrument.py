"""Instruments: what a symbol stands for at a vendor."""

from __future__ import annotations

from typing import Literal

import attrs

from market_data_pipeline.model.option import Right

AssetClass = Literal["equity", "etf", "index", "fx", "crypto", "future", "option", "bond", "fund", "unknown"]


@attrs.frozen(kw_only=True)
class Instrument:
    """One tradable thing, as a provider resolved it.

    Options carry `underlying`, `expiry`, `strike_px` and `right`; futures `underlying` and `expiry`.
    """

    symbol: str
    """The canonical symbol: what the caller typed."""
    vendor_symbol: str = ""
    """What the vendor calls it."""
    asset_class: AssetClass = "unknown"
    exchange: str | None = None
    """The ISO 10383 market identifier, or the vendor's name of the venue."""
    currency: str | None = None
    """ISO 4217."""
    tick_px: int | None = None
    """The smallest price step, int at 1e-9."""
    multiplier: float = 1.0
    """Units of the underlying in one contract."""
    underlying: str | None = None
    expiry: str | None = None
    """The date as YYYY-MM-DD."""
    strike_px: int | None = None
    """Int at 1e-9."""
    right: Right | None = None
