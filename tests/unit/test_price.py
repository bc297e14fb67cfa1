"""What a price may be written as, and what it says when it may not."""

from decimal import Decimal

import numpy as np
import pytest

from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model import to_decimal, to_float, to_px, to_text


@pytest.mark.parametrize(
    "value", ["1.38676", Decimal("1.38676"), 1.38676, "1.386760000000", np.float64(1.38676)], ids=repr
)
def test_all_forms_of_a_price_are_one_int(value):
    assert to_px(value) == 1_386_760_000


def test_a_price_takes_all_forms():
    px = 1_386_760_000
    assert (to_text(px), to_decimal(px), to_float(px)) == ("1.38676", Decimal("1.386760000"), 1.38676)


@pytest.mark.parametrize(("px", "text"), [(0, "0"), (-1, "-0.000000001"), (100_000_000_000, "100"), (-(10**9), "-1")])
def test_text_is_the_shortest(px, text):
    assert to_text(px) == text


def test_a_large_float_goes_by_its_shortest_text():
    value = 33_800_801.02
    assert round(value * 1e9) != to_px(value) == 33_800_801_020_000_000


def test_a_price_of_more_than_nine_decimals_is_refused_unless_asked_to_round():
    with pytest.raises(MalformedMessage, match=r"0\.1234567891 has more than nine decimals"):
        to_px(0.1234567891)
    assert to_px(0.1234567891, inexact=True) == 123_456_789


@pytest.mark.parametrize("value", [1 / 999_999_999, 1 / 1_000_000_001])
def test_a_float_beside_a_billionth_is_not_that_price(value):
    with pytest.raises(MalformedMessage, match="more than nine decimals"):
        to_px(value)


def test_rounding_is_asked_for_by_name():
    with pytest.raises(TypeError):
        to_px("1.38676", True)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-",
        ".",
        "1_000",
        "1,5",
        " 1",
        "1 ",
        "1\n",
        "\uff11\uff12",
        "0x10",
        "nan",
        "inf",
        "--1",
        b"1",
        None,
        True,
        [1],
    ],
)
def test_what_is_no_number_is_refused_with_its_text(value):
    with pytest.raises(MalformedMessage, match="is not a price: give a decimal number") as error:
        to_px(value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    "value",
    ["1e9", "9" * 5_000, 10**5_000, "1e999999999", 1e300, float("nan"), Decimal("sNaN")],
    ids=["bound", "long text", "long int", "exponent", "float", "nan", "signalling nan"],
)
def test_what_no_column_can_hold_is_refused_in_a_short_message(value):
    with pytest.raises(MalformedMessage, match="a price is a number within") as error:
        to_px(value)
    assert len(str(error.value)) < 120


def test_rounding_does_not_reach_beyond_the_bound():
    with pytest.raises(MalformedMessage, match="within"):
        to_px("999999999.9999999999", inexact=True)
