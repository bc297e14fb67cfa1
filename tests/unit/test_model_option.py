"""One contract of an option chain."""

import pytest

from market_data_pipeline.model import OptionQuote, Origin, to_px

ORIGIN = Origin("acme", "acme", 1, "live")
TERMS = ("AAPL 260116C250", "AAPL", "2026-01-16", to_px(250), "call", 1, 2, ORIGIN)


def test_prices_are_floats_too():
    quote = OptionQuote(*TERMS, bid_px=to_px("1.05"), ask_px=to_px("1.10"))
    assert (quote.strike, quote.bid, quote.ask, quote.mid) == (250.0, 1.05, 1.10, 1.075)


@pytest.mark.parametrize(("bid", "ask"), [(None, 1), (1, None), (None, None)])
def test_without_a_side_there_is_no_mid(bid, ask):
    quote = OptionQuote(*TERMS, bid_px=bid, ask_px=ask)
    assert quote.mid is None
    assert (quote.bid is None, quote.ask is None) == (bid is None, ask is None)
