"""What a provider does that only says what it has."""

import pytest

from market_data_pipeline.contracts import BarsRequest, Capabilities, ChainRequest, MarketDataProvider, StreamRequest
from market_data_pipeline.errors import CapabilityNotSupported


class Nothing(MarketDataProvider):
    capabilities = Capabilities()


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda provider: provider.stream(StreamRequest(symbols=("A",))), "streams"),
        (
            lambda provider: provider.get_historical_bars(BarsRequest(symbol="A", start=0, end=1, interval_ns=1)),
            "historical bars",
        ),
        (lambda provider: provider.get_options_chain(ChainRequest(underlying="A")).send(None), "option chains"),
        (lambda provider: provider.resolve("A").send(None), "instruments"),
    ],
    ids=["stream", "history", "chain", "resolve"],
)
def test_what_is_not_declared_is_refused(ask, what):
    with pytest.raises(CapabilityNotSupported, match=f"Nothing has no {what}"):
        ask(Nothing())
