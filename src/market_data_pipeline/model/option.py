"""Option chains: one record for each listed contract."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from market_data_pipeline.model.price import to_float
from market_data_pipeline.model.rows import Origin, Sided

Right: TypeAlias = Literal["call", "put"]


class OptionQuote(msgspec.Struct, Sided, frozen=True, gc=False):
    """One contract of an option chain: its terms, its market, and what the vendor computed; what is unknown is None.

    Prices are int at 1e-9 in the quote currency for one unit of the underlying, times int ns since the epoch, UTC.
    """

    symbol: str
    """Of the contract, as `stream` and `resolve` of the same provider take it."""
    underlying: str
    """The very string that the caller asked for."""
    expiry: str
    """The last trading day as YYYY-MM-DD."""
    strike_px: int
    right: Right
    ts_event: int
    """When the market was as it says."""
    ts_recv: int
    """When it arrived here."""
    origin: Origin
    bid_px: int | None = None
    ask_px: int | None = None
    bid_size: float | None = None
    """In contracts, as all sizes here."""
    ask_size: float | None = None
    last_px: int | None = None
    volume: float | None = None
    """Traded on this day."""
    open_interest: float | None = None
    """Open contracts, as of the last clearing."""
    underlying_px: int | None = None
    """The price of the underlying that implied volatility and greeks were computed with."""
    implied_volatility: float | None = None
    """Of a year: 0.2 is 20 %."""
    delta: float | None = None
    """Change of the price for a change of the underlying by one."""
    gamma: float | None = None
    """Change of delta for a change of the underlying by one."""
    theta: float | None = None
    """Change of the price for a day that passes."""
    vega: float | None = None
    """Change of the price for a change of implied volatility by 0.01."""
    multiplier: float = 100.0
    """Units of the underlying in one contract."""

    @property
    def strike(self) -> float:
        """The strike, in units of the quote currency."""
        return to_float(self.strike_px)
