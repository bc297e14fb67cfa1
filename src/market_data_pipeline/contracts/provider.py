"""The provider: what talks to one vendor, shared by all its sources."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import NoReturn, Protocol, runtime_checkable

import attrs

from market_data_pipeline.contracts.capabilities import Capabilities
from market_data_pipeline.contracts.source import StreamRequest, TickSource
from market_data_pipeline.errors import CapabilityNotSupported
from market_data_pipeline.model import Basis, Instrument, OptionQuote, StreamItem


@attrs.frozen(kw_only=True)
class BarsRequest:
    """Which bars of the past one consumer wants."""

    symbol: str
    """Canonical: rows carry it back."""
    start: int
    """No bar that starts before this, int ns."""
    end: int
    """No bar that starts at this or later, int ns."""
    interval_ns: int
    basis: Basis = "trade"


@attrs.frozen(kw_only=True)
class ChainRequest:
    """Which part of an option chain one consumer wants."""

    underlying: str
    """Canonical: records carry it back."""
    expiries: tuple[str, str] | None = None
    """First and last, both included, as YYYY-MM-DD; None: all."""
    strikes: tuple[int, int] | None = None
    """Least and greatest, both included, int at 1e-9; None: all."""


@runtime_checkable
class MarketDataProvider(Protocol):
    """One per identity in a runtime, shared and counted by use.

    It owns the connections and the desired state, which is the union of what its open sources ask for. Subclass it:
    what a provider does not declare in its capabilities it then refuses by itself.
    """

    capabilities: Capabilities

    async def start(self) -> None:
        """Connect. Called once, before anything is asked of it.

        Raises:
            SourceError: The vendor cannot be reached, or refuses.
        """

    def stream(self, request: StreamRequest) -> TickSource:
        """Return a new view for one consumer.

        Raises:
            CapabilityNotSupported: The request asks for what is not declared.
        """
        _refuse(self, "streams", request)

    def get_historical_bars(self, request: BarsRequest) -> AsyncGenerator[StreamItem, None]:
        """Yield bars of the past as batches, ordered by start, and a `Gap` where the vendor says that some are missing.

        Raises:
            CapabilityNotSupported: `"bar"` is not in `Capabilities.history`.
            UnknownSymbol: The vendor does not know the symbol.
            InvalidRequest: The vendor has no bars of that interval or basis.
        """
        _refuse(self, "historical bars", request)

    async def get_options_chain(self, request: ChainRequest) -> Sequence[OptionQuote]:
        """Return the listed contracts, ordered by expiry, strike and right; none where nothing is listed.

        Raises:
            CapabilityNotSupported: `Capabilities.option_chain` is false.
            UnknownSymbol: The vendor does not know the underlying.
        """
        _refuse(self, "option chains", request)

    async def resolve(self, symbol: str) -> Sequence[Instrument]:
        """Return what a symbol may stand for: nothing is unknown, one is clear, several are ambiguous.

        Raises:
            CapabilityNotSupported: `Capabilities.resolve` is false.
        """
        _refuse(self, "instruments", symbol)

    async def close(self) -> None:
        """Disconnect. Idempotent; its sources end."""


def _refuse(provider: MarketDataProvider, what: str, asked: object) -> NoReturn:
    name = type(provider).__name__
    raise CapabilityNotSupported(
        f"{name} has no {what}, asked for {asked}: its capabilities say what it has", source=name
    )
