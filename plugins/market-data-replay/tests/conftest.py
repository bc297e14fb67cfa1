"""Replays in virtual time, and files to play."""

import logging
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import attrs
import pytest

from market_data_pipeline.contracts import SourceStatus, StreamRequest
from market_data_pipeline.model import Batch, ControlEvent, Row, StreamItem
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import SimLoop, simulate
from market_data_replay.provider import ReplayProvider
from market_data_replay.settings import ReplaySettings

logging.getLogger("market_data_pipeline").addHandler(logging.NullHandler())


@attrs.frozen
class Played:
    """What a replay gave, and when on the clock."""

    items: list[StreamItem]
    times: list[int]
    """Monotonic time at which each item came, int ns."""
    status: SourceStatus

    @property
    def batches(self) -> list[Batch[Row]]:
        return [item for item in self.items if isinstance(item, Batch)]

    @property
    def rows(self) -> list[Row]:
        return [row for batch in self.batches for row in batch.rows]

    @property
    def events(self) -> list[ControlEvent]:
        return [item for item in self.items if isinstance(item, ControlEvent)]


@pytest.fixture(scope="session")
def play() -> Callable[..., Played]:
    """Play to the end: `play(path, *symbols, kinds=..., after=..., **settings)`."""

    def play_to_end(path, *symbols, kinds=("quote", "trade", "bar"), after=None, **settings) -> Played:
        async def program(loop: SimLoop) -> Played:
            provider = ReplayProvider(ReplaySettings(path=path, **settings), ServiceFactory(loop).of("replay"))
            await provider.start()
            source = provider.stream(StreamRequest(symbols=symbols, kinds=frozenset(kinds), after=after))
            try:
                await source.start()
                items, times = [], []
                async for item in source.batches():
                    items.append(item)
                    times.append(loop.monotonic_ns())
                return Played(items, times, await source.status())
            finally:
                await provider.close()

        return simulate(program)

    return play_to_end


@pytest.fixture
def lean(tmp_path: Path) -> Callable[..., Path]:
    """Write a zip of Lean's: `lean("forex/oanda/tick/eurusd/20140501_quote.zip", "0,1.1,1.2\\n")`."""

    def write(place: str, text: str | bytes = "", **entries: str) -> Path:
        path = tmp_path / "lean" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        with ZipFile(path, "w") as archive:
            for name, content in entries.items() or [(path.stem, text)]:
                archive.writestr(f"{name}.csv", content)
        return path

    return write
