"""One pipeline in the foreground: signals, progress, a last line, and what it all ends with."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import anyio
import attrs
import click
from anyio.abc import TaskStatus

from market_data_pipeline.cli.options import Unfinished
from market_data_pipeline.cli.progress import View, is_wanted, show_progress
from market_data_pipeline.orchestration.board import Board
from market_data_pipeline.pipeline import PipelineBuilder, PipelineResult, PipelineSpec, StreamingPipeline
from market_data_pipeline.pipeline.oneliner import first_setting
from market_data_pipeline.settings.secrets import is_hidden

CLEANUP_SEC = 2.0
"""How long a second signal waits for what cannot be interrupted, such as a write to a reader that does not read."""

_log = logging.getLogger(__name__)


@attrs.define
class _Run:
    pipeline: StreamingPipeline
    result: PipelineResult | None = None
    error: Exception | None = None
    killed_by: int | None = None
    seconds: float = 0.0


def execute(
    spec: PipelineSpec, builder: PipelineBuilder, board: Board, *, as_json: bool = False, view: View = "auto"
) -> None:
    """Run a pipeline until it ends; a first SIGINT or SIGTERM stops it gracefully, a second one at once.

    Raises:
        MarketDataError: It cannot be built, or it failed.
        ExceptionGroup: It failed in several places.
        Unfinished: A second signal came, or rows that it had taken over were not written in time.
    """
    run = _Run(builder.build(spec))
    anyio.run(_run, run, board, view if is_wanted(spec) else "none")
    reason = run.result.reason if run.result else "failed" if run.error else "killed"
    if run.error is not None and all(isinstance(cause, BrokenPipeError) for cause in _roots(run.error)):
        _log.info("the reader of the output went away")
        return
    if run.error is not None and not run.pipeline.ledger.received:
        raise run.error  # it never began: there is nothing to sum up
    with suppress(OSError):
        click.echo(_summary(run, reason, [_target(spec, builder, index) for index in range(len(spec.sink))]), err=True)
    if as_json:
        click.echo(json.dumps(_as_dict(run, reason)))
    if run.killed_by is not None:
        raise Unfinished(_lost(run.killed_by), exit_code=128 + run.killed_by)
    if run.error is not None:
        raise run.error
    if run.result is not None and run.result.undelivered:
        raise Unfinished(
            f"{run.result.undelivered:,} rows were read and not written within {spec.drain_timeout_sec:g} s: look at "
            "the sink, or raise drain_timeout_sec",
            exit_code=3,
        )


async def _run(run: _Run, board: Board, view: View) -> None:
    clock = run.pipeline.ctx.clock
    begin = clock.monotonic_ns()
    await board.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(board.run)
        await tasks.start(_heed_signals, run, tasks.cancel_scope)
        if view != "none":
            tasks.start_soon(show_progress, run.pipeline, board.accounts, view)
        try:
            run.result = await run.pipeline.run()
        except Exception as error:  # noqa: BLE001 - raised by execute(), behind the last line
            run.error = error
        tasks.cancel_scope.cancel()
    await board.close()
    run.seconds = (clock.monotonic_ns() - begin) / 1e9


async def _heed_signals(run: _Run, scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        stopping = False
        async for number in signals:
            if stopping:
                run.killed_by = number
                scope.cancel()
                asyncio.get_running_loop().call_later(CLEANUP_SEC, _exit, number)
                return
            _log.info("%s: writing what was read; once more ends at once", number.name)
            stopping = True
            run.pipeline.stop()


def _exit(number: int) -> None:
    click.echo(f"mdp: error: {_lost(number)}", err=True)
    os._exit(128 + number)


def _lost(number: int) -> str:
    return f"ended at once by a second {signal.Signals(number).name}: what was not written is lost"


def _roots(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _roots(part)
    elif error.__cause__ is not None:
        yield from _roots(error.__cause__)
    else:
        yield error


def _target(spec: PipelineSpec, builder: PipelineBuilder, index: int) -> str:
    """Return a sink as a one-liner writes it, without options."""
    sink = spec.sink[index]
    found = builder.host.component("sink", sink.name)
    key = first_setting(found)
    if key is None or key not in sink.settings or is_hidden(found.resolve_settings(), (key,)):
        return sink.name
    return f"{sink.name}:{sink.settings[key]}"


def _summary(run: _Run, reason: str, targets: list[str]) -> str:
    ledger = run.pipeline.ledger
    ending = "done" if reason in {"end", "count", "duration"} else reason
    out = ", ".join(f"{sink.delivered:,} to {target}" for sink, target in zip(ledger.sinks, targets, strict=True))
    aside = {
        "late": ledger.late,
        "filtered": sum(stage.filtered for stage in ledger.operators),
        "failed": sum(stage.failed for stage in ledger.operators),
        **ledger.dropped,
    }
    rest = ", ".join(f"{rows:,} {why}" for why, rows in aside.items() if rows or why == "late")
    return f"mdp: {ending} in {run.seconds:.2f} s: {ledger.received:,} rows in, {out}; {rest}"


def _as_dict(run: _Run, reason: str) -> dict[str, object]:
    return {
        "pipeline_id": run.pipeline.ctx.pipeline_id,
        "reason": reason,
        "error": None if run.error is None else str(run.error),
        "seconds": run.seconds,
        "undelivered": run.pipeline.ledger.undelivered(),
        "ledger": run.pipeline.ledger.as_dict(),
    }
