"""Symbols of option contracts, as the Options Symbology Initiative of the Options Clearing Corporation wrote them down.

A symbol has 21 characters: the root padded with spaces to six, the expiry as yymmdd, C or P, and the strike in
thousandths as eight digits, such as `AAPL  240119C00190000` ("Options Symbology Initiative", version 1.8, OCC, 2008).
"""

from __future__ import annotations

import re
from datetime import date

import attrs

from market_data_pipeline.model import Right

MILL = 1_000_000
"""A thousandth of the currency, at 1e-9: strikes are whole multiples."""
MAX_MILLS = 99_999_999
"""The greatest strike that a symbol holds, in thousandths."""
CENTURY = 2000
"""Of the two digits of a year."""

_ROOT = re.compile(r"[!-~]{1,6}")
_SYMBOL = re.compile(r"([!-~]{1,6}) *(\d{2})(\d{2})(\d{2})([CP])(\d{8})", re.ASCII)
_LENGTH = 21
_RIGHTS: dict[str, Right] = {"C": "call", "P": "put"}


@attrs.frozen
class Contract:
    """The terms of an option."""

    underlying: str
    expiry: date
    strike_px: int
    right: Right

    @property
    def symbol(self) -> str:
        """The contract's symbol."""
        letter = self.right[0].upper()
        return f"{self.underlying:6}{self.expiry:%y%m%d}{letter}{self.strike_px // MILL:08}"

    @classmethod
    def parse(cls, symbol: str) -> Contract | None:
        """Return the contract of a symbol; None if it is not one of a contract. Years are 2000 to 2099."""
        found = _SYMBOL.fullmatch(symbol) if len(symbol) == _LENGTH else None
        if found is None:
            return None
        root, year, month, day, letter, strike = found.groups()
        try:
            expiry = date(CENTURY + int(year), int(month), int(day))
        except ValueError:
            return None
        return cls(root, expiry, int(strike) * MILL, _RIGHTS[letter]) if int(strike) else None


def is_root(symbol: str) -> bool:
    """Say whether a contract's symbol can begin with this."""
    return _ROOT.fullmatch(symbol) is not None
