"""A run of the provider in virtual time."""

from collections.abc import Callable, Sequence
from functools import cache

import attrs
import pytest

from market_data_pipeline.contracts import BarsRequest, StreamRequest
from market_data_pipeline.model import Batch, ControlEvent, Row, StreamItem
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import SimLoop, simulate
from market_data_synthetic.provider import SyntheticProvider
from market_data_synthetic.settings import SyntheticSettings


@attrs.frozen
class Run:
    """What a run gave, and when on the clock."""

    items: list[StreamItem]
    times: list[int]
    """Wall time at which each item came, int ns."""
    began: int

    @property
    def batches(self) -> list[Batch[Row]]:
        return [item for item in self.items if isinstance(item, Batch)]

    @property
    def events(self) -> list[ControlEvent]:
        return [item for item in self.items if not isinstance(item, Batch)]

    @property
    def rows(self) -> list[Row]:
        return [row for batch in self.batches for row in batch.rows]

    def of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.kind == kind]


@pytest.fixture(scope="session")
def run() -> Callable[..., Run]:
    """Run a source to its end: `run(symbols, kinds, **settings)`."""

    def run_to_end(symbols: Sequence[str] = ("AAPL", "MSFT"), kinds=("quote",), after=None, **settings) -> Run:
        async def program(loop: SimLoop) -> Run:
            provider = SyntheticProvider(SyntheticSettings(**settings), ServiceFactory(loop).of("synthetic"))
            result = Run([], [], loop.time_ns())
            request = StreamRequest(symbols=tuple(symbols), kinds=frozenset(kinds), after=after)
            async for item in provider.stream(request).batches():
                result.items.append(item)
                result.times.append(loop.time_ns())
            return result

        return simulate(program)

    return run_to_end


@pytest.fixture(scope="session")
def known(run) -> Callable[..., Run]:
    """The same, made once for equal arguments."""
    return cache(run)


@pytest.fixture(scope="session")
def ask() -> Callable[..., object]:
    """Ask a provider for something once: `ask(lambda provider: provider.resolve("A"), **settings)`."""

    def ask_once(question, **settings):
        async def program(loop: SimLoop) -> object:
            return await question(
                SyntheticProvider(SyntheticSettings(**settings), ServiceFactory(loop).of("synthetic"))
            )

        return simulate(program)

    return ask_once


@pytest.fixture(scope="session")
def history(ask) -> Callable[..., list[Batch[Row]]]:
    """The batches of bars: `history(symbol, start, end, seconds, basis, **settings)`."""

    def get(symbol, start, end, seconds=1, basis="trade", **settings):
        request = BarsRequest(symbol=symbol, start=start, end=end, interval_ns=round(seconds * 1e9), basis=basis)

        async def question(provider):
            return [batch async for batch in provider.get_historical_bars(request)]

        return ask(question, **settings)

    return get
