"""The one place where prices change form: text, Decimal, int and float to int at 1e-9, and back.

A price is an int64 count of billionths, bounded by what DECIMAL(18, 9) holds.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal

from market_data_pipeline.errors import MalformedMessage

SCALE = 1_000_000_000
"""Billionths in one."""
MAX_PX = 999_999_999_999_999_999
"""The largest |px|: 999 999 999.999999999."""

_EXACT_BELOW = 2.0**22
_PLACES = 9
_TENS: tuple[int, ...] = tuple(10 ** (_PLACES - decimals) for decimals in range(_PLACES + 1))
_BILLIONTH = Decimal("1e-9")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)
_BOUND = Decimal("999999999.999999999")
_CONTEXT = Context(prec=28, rounding=ROUND_HALF_EVEN)  # the caller's thread may have one that rounds otherwise


def to_px(value: str | Decimal | int | float, *, inexact: bool = False) -> int:  # noqa: PYI041 - mypy needs both
    """Turn a price in units of its currency into int at 1e-9.

    Text is a decimal number as JSON writes it: ASCII digits, with a point and an exponent or without; no space, no "_".
    An int is that many units. A float stands for its shortest decimal text. (`round(x * 1e9)` gives the same below
    2**22 and is wrong above it.)

    Args:
        value: The price.
        inexact: Round a price of more than nine decimals half to even, instead of refusing it; the caller, who tried
            without it first, sets `Flag.INEXACT_PX`.

    Returns:
        The price in billionths.

    Raises:
        MalformedMessage: Not a finite number, beyond the bound, or more than nine decimals and not `inexact`.
    """
    if isinstance(value, float):
        if -_EXACT_BELOW < value < _EXACT_BELOW:
            px = round(value * 1e9)
            if px / 1e9 == value:
                return px
        return _exact(Decimal(float.__repr__(value)), inexact=inexact)
    if isinstance(value, str):
        whole, _, part = value.partition(".")
        if (
            value.isascii()
            and whole.isdecimal()
            and (part.isdecimal() or not part)
            and len(whole) <= _PLACES >= len(part)
        ):
            return int(whole + part) * _TENS[len(part)]
        if _NUMBER.fullmatch(value):
            return _exact(Decimal(value), inexact=inexact)
    elif isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return _exact(Decimal(value), inexact=inexact)
    raise MalformedMessage(f"{value!r:.60} is not a price: give a decimal number as text, Decimal, int or float")


def _exact(number: Decimal, *, inexact: bool) -> int:
    if not number.is_finite() or not -_BOUND <= number <= _BOUND:
        raise MalformedMessage(f"{number:.21g} is not a price: a price is a number within {_BOUND} of zero")
    rounded = number.quantize(_BILLIONTH, context=_CONTEXT)
    if rounded != number and not inexact:
        raise MalformedMessage(f"{number:.60g} has more than nine decimals: a price is kept in billionths")
    return int(rounded.scaleb(9, _CONTEXT))


def to_float(px: int) -> float:
    """Return the float nearest to the exact price, in units of its currency."""
    return px / SCALE


def to_decimal(px: int) -> Decimal:
    """Return the exact price with nine decimals, in units of its currency."""
    return Decimal(px).scaleb(-9, _CONTEXT)


def to_text(px: int) -> str:
    """Return the exact price as its shortest decimal text, without an exponent: "1.38676"."""
    whole, part = divmod(abs(px), SCALE)
    sign = "-" if px < 0 else ""
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")
