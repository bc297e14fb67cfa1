"""The end of a stream that the runtime holds: it runs a source into a channel, as it is or as bars."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import anyio

from market_data_pipeline.batcher import HybridBatcher
from market_data_pipeline.channel import Channel, Policy
from market_data_pipeline.contracts import Clock, Operator
from market_data_pipeline.errors import ChannelFull, SinkError
from market_data_pipeline.model import Batch, StreamItem
from market_data_pipeline.pipeline.context import PipelineContext
from market_data_pipeline.pipeline.intake import Intake, Source
from market_data_pipeline.pipeline.streaming import StreamingPipeline
from market_data_pipeline.sink.base import BaseSink
from market_data_pipeline.source.guard import FOREIGN


class Feed:
    """Runs one source into a channel.

    Attributes:
        channel: What the reader has not fetched yet.
        ended: Whether nothing more comes; the reader sees it no earlier than this says so.
        closed: Set when the source is closed.
        error: What the source raised; for the reader, behind the last row.
    """

    def __init__(self, source: Source, *, policy: Policy, clock: Clock) -> None:
        self.intake: Intake = Intake(source)
        self.channel: Channel = Channel(self.intake.name, clock, policy=policy)
        self.ended: bool = False
        self.closed: anyio.Event = anyio.Event()
        self.error: BaseException | None = None
        self._scope = anyio.CancelScope()
        self._loop = asyncio.get_running_loop()

    @property
    def received(self) -> int:
        """Rows that were made for the reader."""
        return self.intake.received

    @property
    def dropped(self) -> Counter[str]:
        """Rows that the reader will never see, by reason."""
        return self.channel.dropped + self.intake.dropped

    async def run(self) -> None:
        """Run the source until it ends or `stop` is called."""
        try:
            with self._scope:
                await self._flow()
        except FOREIGN as error:
            self.error = error
        finally:
            self.ended = True
            self.channel.close()
            await self._close()
            self.closed.set()

    def stop(self) -> None:
        """Close the source soon; from any thread. Idempotent."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._scope.cancel)

    async def set_symbols(self, symbols: Sequence[str]) -> None:
        """Have the source serve these symbols from now on; raises what `Intake.set_symbols` raises."""
        await self.intake.set_symbols(symbols)

    async def _flow(self) -> None:
        await self.intake.open()
        await self.intake.run(self.channel)
        self.error = self.intake.error

    async def _close(self) -> None:
        await self.intake.close()


class BarFeed(Feed):
    """Runs one source through an operator into a channel: a pipeline whose sink is the reader."""

    def __init__(self, source: Source, operator: Operator, *, policy: Policy, ctx: PipelineContext) -> None:
        super().__init__(source, policy=policy, clock=ctx.clock)
        self._sink = _ChannelSink(self.channel)
        self._pipeline = StreamingPipeline(
            source=source, operator=operator, batcher=HybridBatcher(1, clock=ctx.clock), sink=self._sink, ctx=ctx
        )
        self.intake: Intake = self._pipeline.intake

    @property
    def received(self) -> int:
        """Bars that were made for the reader."""
        return self._sink.rows

    @property
    def dropped(self) -> Counter[str]:
        """Bars that the reader will never see, by reason."""
        return self.channel.dropped.copy()

    async def _flow(self) -> None:
        try:
            await self._pipeline.run()
        except SinkError as error:
            if isinstance(error.__cause__, ChannelFull):  # the reader's doing, and no sink that he knows of
                raise error.__cause__ from None
            raise

    async def _close(self) -> None:
        """Do nothing: a pipeline closes its own parts."""


class _ChannelSink(BaseSink):
    """Hands what a pipeline makes over to a reader."""

    def __init__(self, channel: Channel) -> None:
        self.rows = 0
        self._channel = channel

    async def write(self, item: StreamItem) -> None:
        await self._channel.send(item)
        if isinstance(item, Batch):
            self.rows += len(item)
