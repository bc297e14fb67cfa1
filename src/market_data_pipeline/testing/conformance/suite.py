"""What the suites of sources and providers have in common."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import pytest

from market_data_pipeline.contracts import Capabilities, StreamRequest
from market_data_pipeline.model import Kind
from market_data_pipeline.testing.conformance.subject import MakeProvider, MakeSource, Subject


class SourceSuite:
    """A suite that opens sources.

    Attributes:
        capabilities: What the provider or source declares; declared means tested.
        symbols: Some that it has, two or more if it can.
        kinds: Which kinds to ask for; left out: all that are declared.
        rows: How many rows are judged.
        limit: Seconds that a check may take at most, of the loop's own time.
        virtual: Whether time is virtual, so that nobody waits: for sources that wait on `services.clock` alone. One
            with sockets, or with threads that call back, needs real time.
        tolerate: Names of the judge's rules that it breaks on purpose, such as "duplicate".
    """

    capabilities: ClassVar[Capabilities]
    symbols: ClassVar[tuple[str, ...]]
    kinds: ClassVar[Collection[Kind] | None] = None
    rows: ClassVar[int] = 500
    limit: ClassVar[float] = 10.0
    virtual: ClassVar[bool] = False
    tolerate: ClassVar[Collection[str]] = ()

    @pytest.fixture
    def make_source(self) -> MakeSource | None:
        """Override it to return a function (request, services) -> source, where there is no provider."""
        return None

    @pytest.fixture
    def make_provider(self) -> MakeProvider | None:
        """Override it to return a function (services) -> provider."""
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
