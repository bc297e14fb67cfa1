"""What options are worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_synthetic.pricing import DIVIDEND_YIELD, RATE, implied_volatility, price

SPOTS = st.floats(0.01, 100_000)
MONEYNESS = st.floats(0.5, 2)
YEARS = st.floats(1 / 365, 2)
VOLATILITIES = st.floats(0.1, 1)
SIGNS = st.sampled_from([1.0, -1.0])


def one(spot, strike, years, volatility, sign):
    return price(spot, np.array([strike]), np.array([years]), np.array([volatility]), np.array([sign]))


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 10.450583572185565), (-1.0, 5.573526022256971)])
def test_prices_are_those_of_the_textbook(monkeypatch, sign, expected):
    """Spot and strike 100, a year, 5 %, 20 %, no dividend."""
    monkeypatch.setattr("market_data_synthetic.pricing.RATE", 0.05)
    monkeypatch.setattr("market_data_synthetic.pricing.DIVIDEND_YIELD", 0.0)
    assert one(100.0, 100.0, 1.0, 0.2, sign).price[0] == pytest.approx(expected, rel=1e-12)


@given(SPOTS, MONEYNESS, YEARS, VOLATILITIES)
def test_call_and_put_differ_by_the_discounted_forward_less_the_discounted_strike(spot, moneyness, years, volatility):
    strike = spot * moneyness
    call, put = (one(spot, strike, years, volatility, sign).price[0] for sign in (1.0, -1.0))
    expected = spot * np.exp(-DIVIDEND_YIELD * years) - strike * np.exp(-RATE * years)
    assert call - put == pytest.approx(expected, abs=1e-12 * spot)


@given(st.floats(10, 1000), MONEYNESS, YEARS, VOLATILITIES, SIGNS)
def test_greeks_are_the_slopes_of_the_price(spot, moneyness, years, volatility, sign):
    def slope(of, step):
        return (of(step) - of(-step)) / (2 * step)

    strike = spot * moneyness
    found = one(spot, strike, years, volatility, sign)
    step = spot * 1e-5
    delta = slope(lambda by: one(spot + by, strike, years, volatility, sign).price[0], step)
    gamma = slope(lambda by: one(spot + by, strike, years, volatility, sign).delta[0], step)
    vega = slope(lambda by: one(spot, strike, years, volatility + by, sign).price[0], 1e-5)
    theta = -slope(lambda by: one(spot, strike, years + by, volatility, sign).price[0], years * 1e-5)
    assert found.delta[0] == pytest.approx(delta, abs=1e-5)
    assert found.gamma[0] * spot == pytest.approx(gamma * spot, rel=1e-4, abs=1e-5)
    assert found.vega[0] == pytest.approx(vega / 100, rel=1e-4, abs=1e-7 * spot)
    assert found.theta[0] == pytest.approx(theta / 365, rel=1e-4, abs=1e-7 * spot)


@given(st.floats(1, 1000), st.floats(1e-9, 2), st.floats(0.3, 0.45))
def test_the_smile_has_no_arbitrage_between_strikes(spot, years, at_the_money):
    strike = spot * np.linspace(0.5, 1.5, 41)
    term = np.full(41, years)
    volatility = implied_volatility(spot, strike, term, at_the_money)
    call, put = (price(spot, strike, term, volatility, np.full(41, sign)).price for sign in (1.0, -1.0))
    rounding = 1e-12 * spot
    assert (np.diff(call) <= rounding).all()
    assert (np.diff(put) >= -rounding).all()
    assert (np.diff(call, 2) >= -rounding).all()
    assert (np.diff(put, 2) >= -rounding).all()
    assert (-np.diff(call) <= np.diff(strike) * np.exp(-RATE * years) + rounding).all()


@given(st.floats(0.3, 0.45), st.floats(-0.5, 0.5))
def test_the_smile_has_no_arbitrage_between_expiries(at_the_money, moneyness):
    years = np.linspace(0.001, 2, 50)
    strike = 100 * np.exp(moneyness + (RATE - DIVIDEND_YIELD) * years)
    total = implied_volatility(100.0, strike, years, at_the_money) ** 2 * years
    assert (np.diff(total) > 0).all()


def test_the_smile_is_lowest_above_the_money():
    strike = np.linspace(50, 150, 101)
    volatility = implied_volatility(100.0, strike, np.full(101, 0.1), 0.35)
    assert 100 < strike[volatility.argmin()] < 120
    assert volatility[0] > volatility[-1] > volatility.min()
