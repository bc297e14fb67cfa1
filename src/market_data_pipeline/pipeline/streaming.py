"""The pipeline: source, operators, batcher and sinks as one data flow of two tasks.

::

    source → [intake] → channel → entry → operators → batcher → sinks
             task 1               task 2
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from math import inf
from typing import Any, Literal

import anyio
import attrs

from market_data_pipeline.batcher import HybridBatcher
from market_data_pipeline.channel import Channel, Policy
from market_data_pipeline.contracts import Batcher, Operator, Sink
from market_data_pipeline.errors import BatcherError, ConfigurationError, SinkError
from market_data_pipeline.model import Batch, Connected, ControlEvent, Refused, StreamItem, Watermark
from market_data_pipeline.pipeline.context import PipelineContext
from market_data_pipeline.pipeline.entry import Entry
from market_data_pipeline.pipeline.intake import Intake, Source
from market_data_pipeline.pipeline.ledger import Ledger, count_rows
from market_data_pipeline.pipeline.output import Output
from market_data_pipeline.pipeline.stage import Stage
from market_data_pipeline.source.guard import FOREIGN, contract_errors, run_foreign
from market_data_pipeline.source.tenant import working_for

LEDGER_CHECK_NS = 10_000_000_000
RESCUE_SEC = 2.0
LATENESS_NS = 2_000_000_000
QUEUE_ROWS = 100_000
EVENTS_KEPT = 16

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
    events: tuple[ControlEvent, ...] = ()
    """The last control events of the source, the newest last: a few, without those that belong to any stream."""


class StreamingPipeline:
    """One data flow, which runs once."""

    def __init__(
        self,
        *,
        source: Source,
        operator: Operator | Sequence[Operator] | None = None,
        batcher: Batcher | None = None,
        sink: Sink | Sequence[Sink],
        ctx: PipelineContext | None = None,
    ) -> None:
        self.ctx: PipelineContext = ctx or PipelineContext()
        self.state: State = "new"
        operators = operator if isinstance(operator, Sequence) else [] if operator is None else [operator]
        sinks = sink if isinstance(sink, Sequence) else [sink]
        self.intake: Intake = Intake(source, self.ctx.count)
        """Takes from the source."""
        self._entry = Entry(self.intake.name, _lateness(self.ctx, operators))
        self._stages = [Stage(one, self.intake.name, self.ctx.clock) for one in operators]
        self._batcher = batcher or HybridBatcher(clock=self.ctx.clock)
        self._outputs = [Output(one) for one in sinks]
        self._channel: Channel | None = None
        self._waiting = 0
        self._accepted = 0
        self._reason: Reason | None = None
        self._opening: anyio.CancelScope | None = None
        self._draining: anyio.CancelScope | None = None
        self._errors: list[Exception] = []
        self._commit_at: int | None = None
        self._events: deque[ControlEvent] = deque(maxlen=EVENTS_KEPT)

    @property
    def ledger(self) -> Ledger:
        """The row counts as they are now."""
        queued, dropped = 0, self.intake.dropped
        if self._channel is not None:
            queued, dropped = self._channel.rows + self._waiting, self._channel.dropped + dropped
        return Ledger(
            received=self.intake.received,
            accepted=self._accepted,
            queued=queued,
            late=self._entry.late,
            dropped=dropped.copy(),
            operators=[attrs.evolve(stage.counts) for stage in self._stages],
            sinks=[attrs.evolve(output.counts, dropped=output.counts.dropped.copy()) for output in self._outputs],
        )

    async def run(self, duration_sec: float | None = None) -> PipelineResult:
        """Run until the source ends, the duration has passed, `ctx.count` rows came, or `stop()` is called.

        Whatever ends it, all that was accepted reaches the sinks' commit. A cancellation stops at once, without that.
        All stages are closed in the end.

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
            with working_for(self.ctx.tenant_id):
                await self._run(self.ctx.duration_sec if duration_sec is None else duration_sec)
        except BaseException:
            self.state = "failed"
            raise
        if self._errors:
            self.state = "failed"
            raise self._errors[0] if len(self._errors) == 1 else ExceptionGroup("the pipeline failed", self._errors)
        self.state = "done"
        return PipelineResult(reason=self._reason or "end", ledger=self.ledger, undelivered=self.ledger.undelivered())

    async def _run(self, duration_sec: float | None) -> None:
        try:
            with anyio.CancelScope() as self._opening:
                if self._reason is None:
                    await self._open()
            if self._reason is None:
                await self._flow(duration_sec)
        finally:
            async with anyio.create_task_group() as tasks:  # which goes on to the end even if this task is cancelled
                tasks.start_soon(self.intake.close)
                for output in self._outputs:
                    tasks.start_soon(output.close)

    def stop(self, reason: Reason = "stopped") -> None:
        """Take nothing more from the source; `run` returns when all that was accepted is committed. Idempotent."""
        if self._reason is None:
            self._reason = reason
        if self._draining is not None:
            self._begin_drain(self._draining)
        elif self._opening is not None:
            self._opening.cancel()
        self.intake.stop()

    def look(self) -> PipelineStatus:
        """Return how it is now, without asking the source: `progress` is known only where rows are counted."""
        return PipelineStatus(
            tenant_id=self.ctx.tenant_id,
            pipeline_id=self.ctx.pipeline_id,
            state=self.state,
            ledger=self.ledger,
            watermark=self._entry.watermark,
            ts_recv=self._entry.ts_recv,
            progress=min(1.0, self.intake.received / self.ctx.count) if self.ctx.count else None,
            events=tuple(self._events),
        )

    async def status(self) -> PipelineStatus:
        """Return how it is now."""
        if self.ctx.count or self.state != "running":
            return self.look()
        progress = await self.intake.progress()
        return attrs.evolve(self.look(), progress=progress)

    async def _open(self) -> None:
        for output in self._outputs:
            await output.open(self.ctx.pipeline_id)
        await self.intake.open()

    # --- the two tasks ------------------------------------------------------------------------------------------

    async def _flow(self, duration_sec: float | None) -> None:
        capabilities = self.intake.capabilities
        policy: Policy | None = self.ctx.on_full or getattr(self._batcher, "on_full", None)
        self._channel = channel = Channel(
            self.intake.name,
            self.ctx.clock,
            max_rows=self.ctx.max_rows or getattr(self._batcher, "queue_rows", None) or QUEUE_ROWS,
            max_bytes=self.ctx.max_bytes,
            policy=policy or ("block" if capabilities.pausable else "drop_oldest"),
        )
        if capabilities.unbounded:
            self._commit_at = self._in(self.ctx.commit_sec)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.intake.run, channel)
            tasks.start_soon(self._watch_ledger)
            if duration_sec is not None:
                tasks.start_soon(self._stop_after, duration_sec)
            with anyio.CancelScope() as self._draining:
                await self._attempt(partial(self._process, channel))
            if self._errors:
                self.intake.stop()
                with anyio.move_on_after(RESCUE_SEC):  # the sinks that still work save what they were given
                    await self._attempt(self._flush)
                    await self._attempt(partial(self._deliver, (), commit=True))
            tasks.cancel_scope.cancel()
        if self.intake.error is not None:
            self._errors.insert(0, self.intake.error)
        self._check_ledger()

    async def _attempt(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the stages, which are foreign code, and keep their errors for `run` to raise."""
        try:
            await run_foreign(f"pipeline {self.ctx.pipeline_id}", work)
        except ExceptionGroup as group:
            self._errors.extend(group.exceptions)
        except Exception as error:  # noqa: BLE001 - raised by run()
            self._errors.append(error)

    async def _process(self, channel: Channel) -> None:
        while items := await self._receive(channel):
            self._waiting = count_rows(items)
            for item in items:
                await self._take(item)
            await self._keep_time()
            await asyncio.sleep(0)
        await self._finish()

    async def _receive(self, channel: Channel) -> Sequence[StreamItem]:
        """Return what the channel has; when a timer is due first, what the timer brings about is done meanwhile."""
        while True:
            due = min((at for at in (self._batcher.deadline, self._commit_at) if at is not None), default=None)
            if due is None or channel.bytes:
                return await channel.receive_many()
            with anyio.move_on_after(max(0.0, (due - self.ctx.clock.monotonic_ns()) / 1e9)):
                return await channel.receive_many()
            await self._keep_time()

    async def _take(self, item: StreamItem) -> None:
        parts: Sequence[StreamItem] = (item,)
        if isinstance(item, Batch):
            with contract_errors(self.intake.name):
                parts = list(self._entry.take(item))
            self._waiting -= len(item)
            self._accepted += len(item)
        elif not isinstance(item, Watermark | Connected):
            self._events.append(item)
        if isinstance(item, Refused):
            symbols = ", ".join(sorted(item.symbols or ())) or "some symbols"
            _log.warning("%s does not serve %s: %s", self.intake.name, symbols, item.error)
        await self._emit(parts, self._stages)

    async def _emit(self, items: Sequence[StreamItem], stages: Sequence[Stage]) -> None:
        """Send items through the stages that are left, and on to the batcher and the sinks."""
        for stage in stages:
            items = stage.take(items)
        rows = count_rows(items)
        for output in self._outputs:
            output.hold(rows)
        await self._deliver([due for item in items for due in self._batch(self._batcher.add, item)])

    def _batch(self, act: Callable[..., Sequence[StreamItem]], *items: StreamItem) -> Sequence[StreamItem]:
        try:
            return act(*items)
        except BatcherError:
            raise
        except FOREIGN as error:
            name = type(self._batcher).__name__
            raise BatcherError(f"batcher {name} raised {type(error).__name__}: {error}") from error

    async def _flush(self, *, commit: bool = False) -> None:
        await self._deliver(self._batch(self._batcher.flush), commit=commit)

    async def _deliver(self, items: Sequence[StreamItem], *, commit: bool = False) -> None:
        """Give items to each sink that works; one that fails keeps nothing from the others.

        Raises:
            ExceptionGroup: What the sinks raised.
        """
        errors = []
        for output in self._outputs:
            if not output.failed:
                try:
                    for item in items:
                        await output.write(item)
                    if commit:
                        await output.commit()
                except SinkError as error:
                    errors.append(error)
        if errors:
            raise ExceptionGroup("sinks failed", errors)

    async def _keep_time(self) -> None:
        """Do what is due: flush the batcher, commit the sinks of a live source."""
        now = self.ctx.clock.monotonic_ns()
        if self._commit_at is not None and now >= self._commit_at:
            await self._flush(commit=True)
            self._commit_at = self._in(self.ctx.commit_sec)
        elif self._batcher.deadline is not None and now >= self._batcher.deadline:
            await self._flush()

    async def _finish(self) -> None:
        self.state = "draining"
        if self._reason is None and self.intake.error is None:
            self._reason = "end" if self.intake.ended else "count"
        if self._reason == "end":
            await self._emit([self._entry.end()], self._stages)
        for index, stage in enumerate(self._stages):
            await self._emit(stage.finish(), self._stages[index + 1 :])
        await self._flush(commit=True)

    # --- timers -------------------------------------------------------------------------------------------------

    def _in(self, seconds: float) -> int:
        return self.ctx.clock.monotonic_ns() + int(seconds * 1e9)

    def _begin_drain(self, scope: anyio.CancelScope) -> None:
        if scope.deadline == inf:
            self.state = "draining"
            scope.deadline = anyio.current_time() + self.ctx.drain_timeout_sec

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


def _lateness(ctx: PipelineContext, operators: Sequence[Operator]) -> int:
    """Return how late a row may be, int ns: no operator waits for rows that the entry puts aside."""
    if ctx.allowed_lateness_ns is not None:
        return ctx.allowed_lateness_ns
    return max([LATENESS_NS, *(getattr(one, "allowed_lateness_ns", 0) for one in operators)])
