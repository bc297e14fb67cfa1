"""The price helper agrees with decimal arithmetic, whatever form a price comes in."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model import MAX_PX, to_decimal, to_float, to_px, to_text

WIDE = Context(prec=400, rounding=ROUND_HALF_EVEN)
BILLION = Decimal(10**9)
prices = st.integers(-MAX_PX, MAX_PX)
decimals = st.decimals(-999_999_999, 999_999_999, allow_nan=False, allow_infinity=False, places=12)


def exact(number: Decimal) -> int | None:
    """The price by definition, or None where it has too many decimals or is beyond the bound."""
    px = WIDE.multiply(number, BILLION)
    return int(px) if abs(px) <= MAX_PX and px == px.to_integral_value() else None


def attempt(value, **options) -> int | None:
    try:
        return to_px(value, **options)
    except MalformedMessage:
        return None


@given(prices, st.integers(0, 3), st.integers(-3, 3))
def test_text_of_any_form_is_exact(px, zeros, exponent):
    number = Decimal(px).scaleb(-9, WIDE)
    forms = [to_text(px), f"{number:f}{'0' * zeros}", f"{number.scaleb(-exponent, WIDE):f}e{exponent}", f"{number:E}"]
    assert [to_px(form) for form in forms] == [px] * 4


@given(st.from_regex(r"[+-]?[0-9]{0,11}\.?[0-9]{0,11}([eE][+-]?[0-9]{1,2})?", fullmatch=True))
def test_text_is_exact_or_refused(text):
    has_digits = any(character.isdigit() for character in text.lower().partition("e")[0])
    assert attempt(text) == (exact(Decimal(text)) if has_digits else None)


@given(st.text(max_size=12))
@example("1_000")
@example("\uff11\uff12")
@example(" 1")
@example("1\n")
@example("nan")
@example("Infinity")
def test_no_other_text_is_a_price(text):
    plain = set(text) <= set("0123456789.+-eE")
    assert plain or attempt(text) is None


@given(st.floats())
@example(4194304.123456789)
@example(4194303.999999999)
@example(-0.0)
@example(5e-324)
def test_a_float_is_its_shortest_text(value):
    number = Decimal(repr(value))
    assert attempt(value) == (exact(number) if number.is_finite() else None)


@given(st.integers(-(2**22) * 10**9, 2**22 * 10**9))
def test_a_float_below_two_to_the_22_gives_back_its_price(px):
    assert to_px(px / 10**9) == px


@given(st.floats(-(2.0**23), 2.0**23))
def test_the_short_way_of_a_float_is_the_long_way(value):
    assert attempt(value, inexact=True) == attempt(Decimal(repr(value)), inexact=True)


@given(decimals)
def test_inexact_rounds_half_to_even(number):
    expected = int(number.quantize(Decimal("1e-9"), context=WIDE).scaleb(9, WIDE))
    assert to_px(number, inexact=True) == expected


@given(decimals)
def test_a_decimal_is_exact_or_refused(number):
    assert attempt(number) == exact(number)


@given(st.integers())
def test_an_int_is_that_many_units(value):
    assert attempt(value) == exact(Decimal(value))


@given(prices)
def test_text_and_decimal_come_back(px):
    assert (to_px(to_text(px)), to_px(to_decimal(px))) == (px, px)


@given(prices)
def test_the_float_is_the_nearest_one(px):
    assert to_float(px) == float(Decimal(px).scaleb(-9, WIDE))


@given(prices)
def test_the_context_of_the_thread_changes_nothing(px):
    long = f"{to_decimal(px):f}"
    with localcontext(prec=3, rounding="ROUND_UP"):
        assert (to_px(long), to_text(px), str(to_decimal(px))) == (
            px,
            long.rstrip("0").rstrip("."),
            str(to_decimal(px)),
        )
        assert to_px("-1.0000000005", inexact=True) == to_px("-1")


@pytest.mark.parametrize("px", [MAX_PX, -MAX_PX])
def test_the_bound_is_a_price_and_nothing_beyond_it(px):
    assert to_px(to_text(px)) == px
    for beyond in (px + 1, px - 1):
        if abs(beyond) > MAX_PX:
            with pytest.raises(MalformedMessage, match=r"within 999999999\.999999999 of zero"):
                to_px(to_decimal(beyond))
