"""The source under test: made, started and closed by each check for itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias, TypeVar, TypeVarTuple, cast

import attrs
import pytest

from market_data_pipeline.contracts import (
    Capabilities,
    MarketDataProvider,
    RowSource,
    Services,
    SourceStatus,
    StreamRequest,
    TickSource,
)
from market_data_pipeline.model import Batch, StreamItem
from market_data_pipeline.source.pump import batched
from market_data_pipeline.testing.conformance.running import run
from market_data_pipeline.testing.services import FakeServices

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MakeSource: TypeAlias = Callable[[StreamRequest, Services], TickSource | RowSource]
"""What the fixture `make_source` gives."""
MakeProvider: TypeAlias = Callable[[Services], MarketDataProvider]
"""What the fixture `make_provider` gives."""


@attrs.frozen(kw_only=True)
class Subject:
    """What a suite's author gave, in the form that its checks need."""

    capabilities: Capabilities
    request: StreamRequest
    make_source: MakeSource | None
    make_provider: MakeProvider | None
    virtual: bool
    limit: float

    def run(self, check: Callable[[FakeServices, *Ts], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        """Run a check in a loop of its own."""
        return run(lambda services: check(services, *args), virtual=self.virtual, limit=self.limit)

    @asynccontextmanager
    async def made(self, services: Services, request: StreamRequest | None = None) -> AsyncIterator[TickSource]:
        """Make a source, out of a started provider where there is one, and close both in the end.

        Yields:
            The source, not started yet.
        """
        async with self.provider(services) as provider:
            asked = self.request if request is None else request
            made = provider.stream(asked) if provider else cast("MakeSource", self.make_source)(asked, services)
            source = cast("TickSource", made if hasattr(made, "batches") else Rows(made, self.capabilities))
            try:
                yield source
            finally:
                await source.close()

    @asynccontextmanager
    async def opened(self, services: Services, request: StreamRequest | None = None) -> AsyncIterator[TickSource]:
        """Make and start a source, and close it in the end.

        Yields:
            The source.
        """
        async with self.made(services, request) as source:
            await source.start()
            yield source

    @asynccontextmanager
    async def provider(self, services: Services) -> AsyncIterator[MarketDataProvider | None]:
        """Make and start the provider, and close it in the end.

        Yields:
            The provider, or None where the source has none.
        """
        if self.make_source is not None:
            yield None
            return
        if self.make_provider is None:
            pytest.fail(
                "the suite has neither the fixture make_source, a function (request, services) -> source, nor "
                "make_provider, a function (services) -> provider: write one of them into the class",
                pytrace=False,
            )
        provider = self.make_provider(services)
        try:
            await provider.start()
            yield provider
        finally:
            await provider.close()


class Rows:
    """A source that yields rows, as one that yields batches: one for each row."""

    def __init__(self, source: Any, capabilities: Capabilities) -> None:
        self.source: Any = source
        self.capabilities: Capabilities = getattr(source, "capabilities", None) or capabilities

    @property
    def symbols(self) -> Sequence[str]:
        """What it was asked for."""
        symbols: Sequence[str] = self.source.symbols
        return symbols

    async def start(self) -> None:
        """Start it, where it has to be."""
        if start := getattr(self.source, "start", None):
            await start()

    async def batches(self) -> AsyncGenerator[StreamItem, None]:
        """Yield its rows, each in a batch."""
        async with aclosing(self.source.stream()) as rows:
            async for row in rows:
                for batch in batched([row], type(self.source).__name__):
                    yield batch

    async def status(self) -> SourceStatus:
        """Say that it is there."""
        return SourceStatus(connected=True)

    async def close(self) -> None:
        """Close it."""
        await self.source.close()


async def take(stream: AsyncGenerator[StreamItem, None], rows: int) -> list[StreamItem]:
    """Return the next items of a stream that is left open, until it ends or so many rows came."""
    items: list[StreamItem] = []
    count = 0
    while count < rows:
        item = await anext(stream, None)
        if item is None:
            break
        items.append(item)
        count += len(item) if isinstance(item, Batch) else 0
    return items


async def read(source: TickSource, rows: int) -> list[StreamItem]:
    """Return the first items of a source, and end its stream."""
    async with aclosing(source.batches()) as stream:
        return await take(stream, rows)
