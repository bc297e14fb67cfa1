"""What the suites of sources and providers have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any, ClassVar, TypeAlias

import pytest

from market_data_pipeline.contracts import Capabilities, MarketDataProvider, StreamRequest
from market_data_pipeline.model import Kind
from market_data_pipeline.testing.conformance.running import run
from market_data_pipeline.testing.conformance.subject import MakeProvider, MakeSource, Subject
from market_data_pipeline.testing.services import FakeServices

Ask: TypeAlias = Callable[[Callable[[MarketDataProvider], Awaitable[Any]]], Any]
"""Asks a started provider something, and closes it."""


class Suite:
    """A suite of something that runs in a loop.

    Attributes:
        capabilities: What the provider or source declares; declared means tested.
        limit: Seconds that a check may take at most, of the loop's own time.
        virtual: Whether time is virtual, so that nobody waits: for what waits on `services.clock` alone. Sockets, and
            threads that call back, need real time.
    """

    capabilities: ClassVar[Capabilities]
    limit: ClassVar[float] = 10.0
    virtual: ClassVar[bool] = False

    @pytest.fixture
    def make_provider(self) -> MakeProvider | None:
        """Override it to return a function (services) -> provider."""
        return None


class ProviderSuite(Suite):
    """A suite that asks a provider; it needs the fixture `make_provider`."""

    @pytest.fixture
    def ask(self, make_provider: MakeProvider | None) -> Ask:
        """Return a function that makes and starts a provider, asks it and closes it, in a loop of its own."""
        if make_provider is None:
            pytest.fail(
                "the suite has no fixture make_provider, a function (services) -> provider: write it into the class",
                pytrace=False,
            )
        make = make_provider

        def ask(question: Callable[[MarketDataProvider], Awaitable[Any]]) -> Any:
            async def program(services: FakeServices) -> Any:
                provider = make(services)
                try:
                    await provider.start()
                    return await question(provider)
                finally:
                    await provider.close()

            return run(program, virtual=self.virtual, limit=self.limit)

        return ask


class SourceSuite(Suite):
    """A suite that opens sources.

    Attributes:
        symbols: Some that it has, two or more if it can.
        kinds: Which kinds to ask for; left out: all that are declared.
        rows: How many rows are judged.
        tolerate: Names of the judge's rules that it breaks on purpose, such as "duplicate".
    """

    symbols: ClassVar[tuple[str, ...]]
    kinds: ClassVar[Collection[Kind] | None] = None
    rows: ClassVar[int] = 500
    tolerate: ClassVar[Collection[str]] = ()

    @pytest.fixture
    def make_source(self) -> MakeSource | None:
        """Override it to return a function (request, services) -> source, where there is no provider."""
        return None

    @pytest.fixture
    def subject(self, make_source: MakeSource | None, make_provider: MakeProvider | None) -> Subject:
        """Return what the checks work with."""
        kinds = frozenset(self.capabilities.kinds if self.kinds is None else self.kinds)
        return Subject(
            capabilities=self.capabilities,
            request=StreamRequest(symbols=self.symbols, kinds=kinds),
            make_source=make_source,
            make_provider=make_provider,
            virtual=self.virtual,
            limit=self.limit,
        )
