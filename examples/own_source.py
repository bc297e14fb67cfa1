"""A source of one's own, in twenty lines: through five-second bars into memory and into Parquet files."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pyarrow.dataset

from market_data_pipeline import Bar, Capabilities, Origin, PipelineContext, StreamingPipeline, Trade
from market_data_pipeline.model import to_px
from market_data_pipeline.operator import SecondBarAggregator
from market_data_pipeline.sink import MemorySink, ParquetSink

SECOND = 1_000_000_000


class Countdown:
    """One trade a second, at a price that falls to one."""

    capabilities = Capabilities(kinds=frozenset({"trade"}), pausable=True)

    def __init__(self, symbol: str, first: int) -> None:
        """Count down from `first`."""
        self.symbols = (symbol,)
        self._first = first
        self._origin = Origin("countdown", "countdown", epoch=1, mode="synthetic")

    async def stream(self) -> AsyncGenerator[Trade, None]:
        """Yield the trades, one by one."""
        for number in range(self._first):
            at, px = number * SECOND, to_px(self._first - number)
            yield Trade(self.symbols[0], at, at, number, 0, self._origin, px, size=1.0)

    async def close(self) -> None:
        """Do nothing: it holds nothing."""


async def main(folder: Path) -> None:
    """Run it once, and show what came out."""
    memory = MemorySink()
    result = await StreamingPipeline(
        source=Countdown("TEN", 10),
        operator=SecondBarAggregator(interval="5s"),
        sink=[memory, ParquetSink(folder)],
        ctx=PipelineContext(pipeline_id="countdown"),
    ).run()
    for bar in memory.rows:
        if isinstance(bar, Bar):
            print(f"{bar.timestamp:%H:%M:%S} {bar.symbol} open {bar.open} close {bar.close} volume {bar.volume}")
    print(f"{result.ledger.received} trades in, {result.ledger.sinks[1].delivered} bars in files:")
    files = pyarrow.dataset.dataset(folder)
    print(*files.files, sep="\n")
    print(files.to_table(columns=["symbol", "open", "close"]).to_pylist())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
