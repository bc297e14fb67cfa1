"""A stream of bars: a pipeline whose sink is the reader, so that late rows and watermarks are those of pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import attrs

from market_data_pipeline.channel import Channel, Policy
from market_data_pipeline.contracts import Clock, Operator, Sink
from market_data_pipeline.errors import ChannelFull, SinkError
from market_data_pipeline.model import Bar, Batch, StreamItem
from market_data_pipeline.orchestration.feed import Feed, StreamStatus
from market_data_pipeline.pipeline.context import PipelineContext
from market_data_pipeline.pipeline.intake import Source
from market_data_pipeline.pipeline.ledger import Ledger, SinkCounts
from market_data_pipeline.pipeline.streaming import StreamingPipeline
from market_data_pipeline.sink.base import BaseSink


class BarFeed(Feed[Bar]):
    """Bars that are made from the rows of a source."""

    def __init__(
        self,
        source: Source,
        operator: Operator,
        *,
        lateness_ns: int,
        policy: Policy,
        clock: Clock,
        symbols: Sequence[str] = (),
        number: int = 0,
    ) -> None:
        self._sink = _ReaderSink()
        self._pipeline = StreamingPipeline(
            source=source,
            operator=operator,
            batcher=_Straight(),
            sink=cast("Sink", self._sink),  # whose guarantee is its class's
            ctx=PipelineContext(pipeline_id=f"stream {number}", allowed_lateness_ns=lateness_ns, clock=clock),
        )
        intake = self._pipeline.intake
        super().__init__(source, intake, Bar, policy=policy, clock=clock, symbols=symbols, number=number)
        self._sink.channel = self.reader.channel

    @property
    def ledger(self) -> Ledger:
        """Those of the pipeline, up to what the reader took."""
        ledger, lost = self._pipeline.ledger, self.reader.channel.dropped.copy()
        received = ledger.sinks[0].received
        held = received - self._sink.sent + self.reader.waiting
        reader = SinkCounts("reader", received=received, delivered=self.reader.taken, held=held, dropped=lost)
        return attrs.evolve(ledger, sinks=[reader])

    def look(self) -> StreamStatus:
        """Return how it is now."""
        ledger, pipeline = self.ledger, self._pipeline.look()
        dropped = (ledger.dropped + ledger.sinks[0].dropped).total()
        return attrs.evolve(super().look(), dropped=dropped, late=ledger.late, watermark=pipeline.watermark)

    async def _flow(self) -> None:
        try:
            await self._pipeline.run()
        except SinkError as error:
            if isinstance(error.__cause__, ChannelFull):
                raise error.__cause__ from None
            raise


@attrs.define
class _Straight:
    """A batcher that holds nothing: a reader wants a bar as soon as it is closed."""

    deadline: int | None = None

    def add(self, item: StreamItem) -> Sequence[StreamItem]:
        return (item,)

    def flush(self) -> Sequence[StreamItem]:
        return ()


class _ReaderSink(BaseSink):
    """Hands rows over to the reader's channel.

    Attributes:
        channel: That of the reader.
        sent: Rows that went into it, or that it dropped.
    """

    channel: Channel

    def __init__(self) -> None:
        self.sent: int = 0

    async def write(self, item: StreamItem) -> None:
        """Send one item; with the policy `block`, wait until there is room."""
        await self.channel.send(item)
        if isinstance(item, Batch):
            self.sent += len(item)
