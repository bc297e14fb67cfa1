"""The suite of bars of the past."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import ClassVar

import attrs
import pytest

from market_data_pipeline.contracts import BarsRequest, MarketDataProvider
from market_data_pipeline.errors import CapabilityNotSupported
from market_data_pipeline.model import Bar, Batch, StreamItem
from market_data_pipeline.testing.conformance.expecting import raises
from market_data_pipeline.testing.conformance.leaks import new_tasks
from market_data_pipeline.testing.conformance.suite import Ask, ProviderSuite
from market_data_pipeline.testing.judge import judge_history, summary


class HistoricalConformance(ProviderSuite):
    """Whether `get_historical_bars` keeps the contract or, of a provider that declares no history, is refused.

    Subclass it, set `capabilities` and `request`, and write the fixture `make_provider`.

    Attributes:
        request: A range for which the vendor has at least two bars.
    """

    request: ClassVar[BarsRequest]

    def test_history_is_well_formed(self, ask: Ask) -> None:
        """Its bars are in the range, of the symbol and interval, in order, and keep every rule of `judge_history`."""
        self.declared()
        items = self.history(ask, self.request)
        found = judge_history(items, request=self.request, capabilities=self.capabilities)
        assert not found, f"the history breaks rules:\n{summary(found)}"
        assert any(isinstance(item, Batch) for item in items), (
            f"there is no bar for {self.request}: give the suite a `request` for which the vendor has some"
        )

    def test_history_is_half_open(self, ask: Ask) -> None:
        """Asked for in two parts, the range has the same bars as at once: each starts in one part alone."""
        self.declared()
        request = self.request
        middle = request.start + (request.end - request.start) // request.interval_ns // 2 * request.interval_ns
        if not request.start < middle:
            pytest.skip("the range of `request` is shorter than two bars")
        parts = [attrs.evolve(request, end=middle), attrs.evolve(request, start=middle)]
        whole = starts(self.history(ask, request))
        halves = [start for part in parts for start in starts(self.history(ask, part))]
        assert halves == whole, (
            f"in two parts the bars start at {halves[:5]} and so on, at once at {whole[:5]}: `start` belongs to the "
            "range and `end` does not, by the start of a bar"
        )

    def test_history_can_be_given_up(self, ask: Ask) -> None:
        """Whoever stops reading after the first batch leaves no task behind."""
        self.declared()

        async def question(provider: MarketDataProvider) -> Sequence[str]:
            before = asyncio.all_tasks()
            async with aclosing(provider.get_historical_bars(self.request)) as stream:
                await anext(stream, None)
            return await new_tasks(before)

        left = ask(question)
        assert not left, f"given up, it leaves tasks: {'; '.join(left)}: end them in a finally block of the generator"

    def test_refuses_undeclared_history(self, ask: Ask) -> None:
        """Without "bar" in `Capabilities.history`, it raises `CapabilityNotSupported`."""
        if "bar" in self.capabilities.history:
            pytest.skip("it declares bars of the past")
        request = getattr(self, "request", None) or BarsRequest(
            symbol="AAPL", start=1_704_205_800_000_000_000, end=1_704_205_860_000_000_000, interval_ns=1_000_000_000
        )

        async def question(provider: MarketDataProvider) -> None:
            with raises(CapabilityNotSupported, "get_historical_bars, which is not declared,"):
                async with aclosing(provider.get_historical_bars(request)) as stream:
                    await anext(stream, None)

        ask(question)

    def history(self, ask: Ask, request: BarsRequest) -> Sequence[StreamItem]:
        """Return what the provider has."""

        async def question(provider: MarketDataProvider) -> Sequence[StreamItem]:
            async with aclosing(provider.get_historical_bars(request)) as stream:
                return [item async for item in stream]

        items: Sequence[StreamItem] = ask(question)
        return items

    def declared(self) -> None:
        """Skip the check where no history is declared."""
        if "bar" not in self.capabilities.history:
            pytest.skip("it declares no bars of the past")


def starts(items: Sequence[StreamItem]) -> list[int]:
    """Return when each bar starts."""
    rows = (row for item in items if isinstance(item, Batch) for row in item.rows)
    return [row.start for row in rows if isinstance(row, Bar)]
