"""What a symbol stands for."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.errors import UnknownSymbol
from market_data_pipeline.model import Instrument, to_px
from market_data_synthetic.osi import Contract
from market_data_synthetic.settings import SyntheticSettings

LONGEST = 32
"""So many characters has a symbol at most that is known."""


def resolve(symbol: str, settings: SyntheticSettings) -> Sequence[Instrument]:
    """Return the equity or option that a symbol stands for; none if it is empty, long, or has a space elsewhere."""
    tick_px = to_px(settings.tick_size)
    if contract := Contract.parse(symbol):
        option = Instrument(
            symbol=symbol,
            vendor_symbol=symbol,
            asset_class="option",
            currency="USD",
            tick_px=tick_px,
            multiplier=100.0,
            underlying=contract.underlying,
            expiry=contract.expiry.isoformat(),
            strike_px=contract.strike_px,
            right=contract.right,
        )
        return (option,)
    if not symbol.isprintable() or " " in symbol or not 0 < len(symbol) <= LONGEST:
        return ()
    return (Instrument(symbol=symbol, vendor_symbol=symbol, asset_class="equity", currency="USD", tick_px=tick_px),)


def check_known(symbol: str, settings: SyntheticSettings) -> None:
    """Check that a symbol stands for something.

    Raises:
        UnknownSymbol: It does not.
    """
    if not resolve(symbol, settings):
        raise UnknownSymbol(
            f"synthetic does not know {symbol!r:.60}: a symbol is 1 to {LONGEST} characters without a space, or an "
            "option's 21 characters",
            source="synthetic",
        )
