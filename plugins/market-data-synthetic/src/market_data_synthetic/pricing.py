"""Prices and greeks of European options.

Prices are those of Black and Scholes with a dividend yield (Merton, "Theory of Rational Option Pricing", Bell Journal
of Economics 4, 1973): call and put differ by the discounted forward less the discounted strike, which is put-call
parity. The smile is the surface SSVI of Gatheral and Jacquier ("Arbitrage-free SVI volatility surfaces", Quantitative
Finance 14, 2014) with the power law of exponent 1/2, which has no arbitrage between strikes or expiries as long as
`_ETA * (1 + |_RHO|) <= 2` (their corollary 4.1 and example 4.2).
"""

from __future__ import annotations

from math import erfc, pi, sqrt
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

RATE = 0.04
"""Of interest, a year, continuously compounded."""
DIVIDEND_YIELD = 0.01
"""A year, continuously compounded."""

_ETA = 1.0
_RHO = -0.3
_erfc: Any = np.frompyfunc(erfc, 1, 1)


@attrs.frozen(eq=False)
class Priced:
    """Prices and greeks, one for each contract, in the units of `OptionQuote`."""

    price: Floats
    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats


def implied_volatility(spot: float, strike: Floats, years: Floats, at_the_money: float) -> Floats:
    """Return the volatility of a year at each strike and time to expiry."""
    moneyness = np.log(strike / spot) - (RATE - DIVIDEND_YIELD) * years
    theta = at_the_money**2 * years
    slope = _ETA / np.sqrt(theta * (1 + theta)) * moneyness
    variance = theta / 2 * (1 + _RHO * slope + np.sqrt((slope + _RHO) ** 2 + 1 - _RHO**2))
    volatility: Floats = np.sqrt(variance / years)
    return volatility


def price(spot: float, strike: Floats, years: Floats, volatility: Floats, sign: Floats) -> Priced:
    """Price calls (`sign` 1) and puts (-1)."""
    deviation = volatility * np.sqrt(years)
    stock, cash = spot * np.exp(-DIVIDEND_YIELD * years), strike * np.exp(-RATE * years)
    d1 = np.log(stock / cash) / deviation + deviation / 2
    d2 = d1 - deviation
    with np.errstate(under="ignore"):
        density = np.exp(-d1 * d1 / 2) / sqrt(2 * pi)
        in_stock, in_cash = sign * stock * _normal(sign * d1), sign * cash * _normal(sign * d2)
        decay = stock * density * volatility / (2 * np.sqrt(years))
        return Priced(
            price=np.maximum(in_stock - in_cash, 0.0),
            delta=in_stock / spot,
            gamma=stock * density / (spot**2 * deviation),
            theta=(DIVIDEND_YIELD * in_stock - RATE * in_cash - decay) / 365,
            vega=stock * density * np.sqrt(years) / 100,
        )


def _normal(x: Floats) -> Floats:
    """Return the distribution function of the normal distribution."""
    tail: Floats = _erfc(-x / sqrt(2)).astype(np.float64) / 2
    return tail
