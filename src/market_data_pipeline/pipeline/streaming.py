"""The pipeline: source, operators, batcher and sinks as one data flow of two tasks.

::

    source → [intake] → channel → entry → operators → batcher → sinks
             task 1               task 2
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import anyio
import anyio.lowlevel
import attrs

from market_data_pipeline.batcher import HybridBatcher
from market_data_pipeline.channel import Channel
from market_data_pipeline.contracts import Batcher, Operator, RowSource, Sink, TickSource
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Batch, Diverted, StreamItem
from market_data_pipeline.pipeline.context import PipelineContext
from market_data_pipeline.pipeline.entry import Entry
from market_data_pipeline.pipeline.intake import Intake
from market_data_pipeline.pipeline.ledger import Ledger
from market_data_pipeline.pipeline.output import Output
from market_data_pipeline.pipeline.stage import Stage

LEDGER_CHECK_NS = 10_000_000_000
RESCUE_SEC = 2.0

Reason = Literal["end", "count", "duration", "stopped", "failed"]
State = Literal["new", "running", "draining", "done", "failed"]

_log = logging.getLogger("market_data_pipeline.pipeline")


@attrs.frozen(kw_only=True)
class PipelineResult:
    """How a run ended."""

    reason: Reason
    ledger: Ledger
    undelivered: int
    """Rows that were taken over and reached no commit; more than 0 only if the drain ran out of time."""


@attrs.frozen(kw_only=True)
class PipelineStatus:
    """A look at a pipeline; taking it changes nothing."""

    tenant_id: str
    pipeline_id: str
    state: State
    ledger: Ledger
    watermark: int | None
    """No earlier row gets through, int ns; None before the first row."""
    ts_recv: int
    """Of the newest row that went through, int ns; 0 before the first row."""
    progress: float | None
    """Which part of the source is done, from 0 to 1, where its end is known."""


class StreamingPipeline:
    """One data flow, which runs once."""

    def __init__(
        self,
        *,
        source: TickSource | RowSource,
        operator: Operator | Sequence[Operator] | None = None,
        batcher: Batcher | None = None,
        sink: Sink | Sequence[Sink],
        ctx: PipelineContext | None = None,
    ) -> None:
        self.ctx = ctx or PipelineContext()
        self.state: State = "new"
        self._ledger = Ledger()
        operators = operator if isinstance(operator, Sequence) else [] if operator is None else [operator]
        sinks = sink if isinstance(sink, Sequence) else [sink]
        self._intake = Intake(source, self.ctx.count)
        self._entry = Entry(self._intake.name, self.ctx.allowed_lateness_ns)
        self._stages = [Stage(_name(op), op, self._intake.name, self.ctx.clock) for op in operators]
        self._batcher = batcher or HybridBatcher(clock=self.ctx.clock)
        self._outputs = [Output(_name(one), one) for one in sinks]
        self._channel: Channel | None = None
        self._reason: Reason | None = None
        self._draining: anyio.CancelScope | None = None
        self._errors: list[Exception] = []
        self._commit_at: int | None = None
        self._waiting = 0
        self._ledger.operators = [stage.counts for stage in self._stages]
        self._ledger.sinks = [output.counts for output in self._outputs]

    @property
    def ledger(self) -> Ledger:
        """The row counts, as they are now."""
        if self._channel is not None:
            self._ledger.queued = self._channel.rows + self._waiting
            self._ledger.dropped = self._channel.dropped + self._intake.dropped
        return self._ledger

    async def run(self, duration_sec: float | None = None) -> PipelineResult:
        """Run until the source ends, the duration has passed, `ctx.count` rows came, or `stop()` is called.

        Whatever ends it, all that was accepted reaches the sinks' commit. A cancellation stops at once, without that.

        Args:
            duration_sec: Takes the place of `ctx.duration_sec`.

        Returns:
            Why it ended, and its ledger.

        Raises:
            ConfigurationError: It ran already.
            MarketDataError: A stage failed; the others had 2 s to save what they had.
            ExceptionGroup: Several did.
        """
        if self.state != "new":
            raise ConfigurationError(f"pipeline {self.ctx.pipeline_id} ran already: build a new one for each run")
        self.state = "running"
        try:
            for output in self._outputs:
                await output.open(self.ctx.pipeline_id)
            await self._intake.open()
            await self._flow(self.ctx.duration_sec if duration_sec is None else duration_sec)
        except BaseException:
            self.state = "failed"
            raise
        finally:
            await self._intake.close()
            for output in self._outputs:
                await output.close()
        if self._errors:
            self.state = "failed"
            raise self._errors[0] if len(self._errors) == 1 else ExceptionGroup("the pipeline failed", self._errors)
        self.state = "done"
        return PipelineResult(reason=self._reason or "end", ledger=self.ledger, undelivered=self.ledger.undelivered())

    def stop(self, reason: Reason = "stopped") -> None:
        """Take nothing more from the source; `run` returns when all that was accepted is committed. Idempotent."""
        if self._reason is not None:
            return
        self._reason = reason
        self._intake.stop()
        self._begin_drain()

    async def status(self) -> PipelineStatus:
        """Return how it is now."""
        return PipelineStatus(
            tenant_id=self.ctx.tenant_id,
            pipeline_id=self.ctx.pipeline_id,
            state=self.state,
            ledger=self.ledger,
            watermark=self._entry.watermark,
            ts_recv=self._entry.ts_recv,
            progress=await self._progress(),
        )

    async def _progress(self) -> float | None:
        if self.ctx.count:
            return min(1.0, self.ledger.received / self.ctx.count)
        return await self._intake.progress() if self.state == "running" else None

    # --- the two tasks ------------------------------------------------------------------------------------------

    async def _flow(self, duration_sec: float | None) -> None:
        capabilities = self._intake.capabilities
        policy = self.ctx.on_full or ("block" if capabilities.pausable else "drop_oldest")
        self._channel = channel = Channel(
            self._intake.name,
            self.ctx.clock,
            max_rows=self.ctx.max_rows,
            max_bytes=self.ctx.max_bytes,
            policy=policy,
        )
        if capabilities.unbounded:
            self._commit_at = self._in(self.ctx.commit_sec)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._intake.run, channel, self._ledger)
            tasks.start_soon(self._watch_ledger)
            if duration_sec is not None:
                tasks.start_soon(self._stop_after, duration_sec)
            with anyio.CancelScope() as self._draining:
                try:
                    await self._process(channel)
                except Exception as error:  # noqa: BLE001 - every stage's error is kept and raised by run()
                    self._errors.append(error)
                    await self._rescue()
            tasks.cancel_scope.cancel()
        self._check_ledger()

    async def _process(self, channel: Channel) -> None:
        while items := await self._receive(channel):
            for item in items:
                await self._take(item)
            await self._keep_time()
            await anyio.lowlevel.checkpoint()
        await self._finish()

    async def _receive(self, channel: Channel) -> Sequence[StreamItem]:
        """Return what the channel has; when a timer is due first, what the timer brings about is done meanwhile."""
        while True:
            due = min((at for at in (self._batcher.deadline, self._commit_at) if at is not None), default=None)
            if due is None:
                return self._received(await channel.receive_many())
            with anyio.move_on_after(max(0.0, (due - self.ctx.clock.monotonic_ns()) / 1e9)):
                return self._received(await channel.receive_many())
            await self._keep_time()

    def _received(self, items: Sequence[StreamItem]) -> Sequence[StreamItem]:
        self._waiting = _rows(items)
        return items

    async def _take(self, item: StreamItem) -> None:
        parts: Iterable[StreamItem] = (item,)
        if isinstance(item, Batch):
            self._waiting -= len(item)
            self._ledger.accepted += len(item)
            parts = list(self._entry.take(item))
            self._ledger.late += sum(len(part.batch) for part in parts if isinstance(part, Diverted))
        await self._emit([out for part in parts for out in self._through(part, 0)])

    def _through(self, item: StreamItem, first: int) -> Iterator[StreamItem]:
        """Yield what the operators from the one at index `first` on make of an item."""
        if first == len(self._stages):
            yield item
        else:
            for out in self._stages[first].take(item):
                yield from self._through(out, first + 1)

    async def _emit(self, items: Sequence[StreamItem]) -> None:
        rows = _rows(items)
        for output in self._outputs:
            output.hold(rows)
        for item in items:
            await self._write(self._batcher.add(item))

    async def _write(self, items: Sequence[StreamItem]) -> None:
        for item in items:
            for output in self._outputs:
                if not output.failed:
                    await output.write(item)

    async def _commit(self) -> None:
        for output in self._outputs:
            if not output.failed:
                await output.commit()

    async def _keep_time(self) -> None:
        """Do what is due: flush the batcher, commit the sinks of a live source."""
        now = self.ctx.clock.monotonic_ns()
        if self._batcher.deadline is not None and now >= self._batcher.deadline:
            await self._write(self._batcher.flush())
        if self._commit_at is not None and now >= self._commit_at:
            await self._write(self._batcher.flush())
            await self._commit()
            self._commit_at = self._in(self.ctx.commit_sec)

    async def _finish(self) -> None:
        if self._intake.error is not None:
            self._errors.append(self._intake.error)
            self._reason = "failed"
        elif self._reason is None:
            self._reason = "end" if self._intake.ended else "count"
        self.state = "draining"
        if self._reason == "end":
            await self._emit(list(self._through(self._entry.end(), 0)))
        for index, stage in enumerate(self._stages):
            await self._emit([out for held in stage.finish() for out in self._through(held, index + 1)])
        await self._write(self._batcher.flush())
        await self._commit()

    async def _rescue(self) -> None:
        """After a failure: let the sinks that still work save what they were given."""
        self._reason = "failed"
        self._intake.stop()
        with anyio.move_on_after(RESCUE_SEC, shield=True):
            try:
                await self._write(self._batcher.flush())
                await self._commit()
            except Exception as error:  # noqa: BLE001 - kept beside the first one
                self._errors.append(error)

    # --- timers -------------------------------------------------------------------------------------------------

    def _in(self, seconds: float) -> int:
        return self.ctx.clock.monotonic_ns() + int(seconds * 1e9)

    def _begin_drain(self) -> None:
        if self._draining is not None:
            self.state = "draining"
            self._draining.deadline = anyio.current_time() + self.ctx.drain_timeout_sec

    async def _stop_after(self, seconds: float) -> None:
        await self.ctx.clock.sleep_until(self._in(seconds))
        self.stop("duration")

    async def _watch_ledger(self) -> None:
        while True:
            await self.ctx.clock.sleep_until(self.ctx.clock.monotonic_ns() + LEDGER_CHECK_NS)
            self._check_ledger()

    def _check_ledger(self) -> None:
        for mismatch in self.ledger.mismatches():
            _log.error("the ledger of pipeline %s does not add up: %s", self.ctx.pipeline_id, mismatch)


def _name(stage: object) -> str:
    return type(stage).__name__


def _rows(items: Sequence[StreamItem]) -> int:
    return sum(len(item) for item in items if isinstance(item, Batch))
