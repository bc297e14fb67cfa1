"""The suite of option chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
import pytest

from market_data_pipeline.contracts import ChainRequest, MarketDataProvider
from market_data_pipeline.errors import CapabilityNotSupported
from market_data_pipeline.model import OptionQuote
from market_data_pipeline.testing.conformance.expecting import raises
from market_data_pipeline.testing.conformance.suite import Ask, ProviderSuite
from market_data_pipeline.testing.judge import judge_chain, summary


class OptionsConformance(ProviderSuite):
    """Whether `get_options_chain` keeps the contract or, of a provider that declares no chains, is refused.

    Subclass it, set `capabilities` and `request`, and write the fixture `make_provider`.

    Attributes:
        request: An underlying of which the vendor lists options.
    """

    request: ClassVar[ChainRequest] = ChainRequest(underlying="AAPL")

    def test_chain_is_well_formed(self, ask: Ask) -> None:
        """Its contracts are of the underlying, in order, each once, and keep every rule of `judge_chain`."""
        quotes = self.chain(ask, self.request)
        self.judge(quotes, self.request)
        assert quotes, f"there is no contract for {self.request}: give the suite a `request` for which there are some"

    def test_expiries_are_honoured(self, ask: Ask) -> None:
        """Asked for one expiry, it returns its contracts and no others."""
        some = self.some(ask)
        request = attrs.evolve(self.request, expiries=(some.expiry, some.expiry))
        self.judge(self.chain(ask, request), request)

    def test_strikes_are_honoured(self, ask: Ask) -> None:
        """Asked for one strike, it returns its contracts and no others."""
        some = self.some(ask)
        request = attrs.evolve(self.request, strikes=(some.strike_px, some.strike_px))
        self.judge(self.chain(ask, request), request)

    def test_refuses_undeclared_chains(self, ask: Ask) -> None:
        """Where `Capabilities.option_chain` is false, it raises `CapabilityNotSupported`."""
        if self.capabilities.option_chain:
            pytest.skip("it declares option chains")

        async def question(provider: MarketDataProvider) -> None:
            with raises(CapabilityNotSupported, "get_options_chain, which is not declared,"):
                await provider.get_options_chain(self.request)

        ask(question)

    def chain(self, ask: Ask, request: ChainRequest) -> Sequence[OptionQuote]:
        """Return what the provider lists; skip the check where no chains are declared."""
        if not self.capabilities.option_chain:
            pytest.skip("it declares no option chains")

        async def question(provider: MarketDataProvider) -> Sequence[OptionQuote]:
            return await provider.get_options_chain(request)

        quotes: Sequence[OptionQuote] = ask(question)
        return quotes

    def some(self, ask: Ask) -> OptionQuote:
        """Return a contract from the middle of the chain."""
        quotes = self.chain(ask, self.request)
        assert quotes, f"there is no contract for {self.request}: give the suite a `request` for which there are some"
        return quotes[len(quotes) // 2]

    def judge(self, quotes: Sequence[OptionQuote], request: ChainRequest) -> None:
        """Fail with what the judge finds."""
        found = judge_chain(quotes, request=request, capabilities=self.capabilities)
        assert not found, f"the chain breaks rules:\n{summary(found)}"
