"""The progress line: on standard error, where that is a terminal, and gone when the pipeline ends."""

from __future__ import annotations

import sys

import anyio

from market_data_pipeline.pipeline import PipelineSpec, PipelineStatus, StreamingPipeline

REFRESH_SEC = 0.25
MAX_LAG_NS = 86_400_000_000_000
"""Rows that are older are a recording: their age is no lag."""


def is_wanted(spec: PipelineSpec) -> bool:
    """Return whether to show one: not into files and pipes, nor between rows that are printed on the same terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return False
    prints = any(sink.name == "console" or sink.settings.get("path") == "-" for sink in spec.sink)
    return not (prints and sys.stdout is not None and sys.stdout.isatty())


async def show_progress(pipeline: StreamingPipeline) -> None:
    """Show how a pipeline is until cancelled; a bar and the time that is left, where its end is known."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description}")
    endless = (SpinnerColumn(), text)
    ending = (BarColumn(bar_width=24), TaskProgressColumn(), TimeRemainingColumn(), text)
    clock = pipeline.ctx.clock
    then, rows = clock.monotonic_ns(), 0
    console = Console(stderr=True)
    with Progress(*endless, console=console, auto_refresh=False, transient=True, redirect_stdout=False) as line:
        task = line.add_task("", total=None)
        while True:
            await anyio.sleep(REFRESH_SEC)
            status = await pipeline.status()
            now = clock.monotonic_ns()
            rate = (status.ledger.received - rows) * 1e9 / max(1, now - then)
            then, rows = now, status.ledger.received
            line.columns = endless if status.progress is None else ending
            total = None if status.progress is None else 1.0
            line.update(task, total=total, completed=status.progress or 0.0)
            line.update(task, description=describe(status, rate, clock.time_ns()), refresh=True)


def describe(status: PipelineStatus, rate: float, now: int) -> str:
    """Return rate, lag and ledger in one line.

    Args:
        status: Of the pipeline.
        rate: Rows per second.
        now: The wall time, int ns.
    """
    ledger = status.ledger
    parts: list[str] = [status.state] if status.state != "running" else []
    parts.append(f"{rate:,.0f} rows/s")
    if abs(lag := now - status.ts_recv) < MAX_LAG_NS:
        parts.append(f"lag {max(0, lag) / 1e9:.1f} s")
    parts += [f"{ledger.received:,} in", f"{ledger.accepted:,} accepted", f"{ledger.late:,} late"]
    if dropped := ledger.dropped.total():
        parts.append(f"{dropped:,} dropped")
    parts.append(f"{max((sink.delivered for sink in ledger.sinks), default=0):,} out")
    return " · ".join(parts)
