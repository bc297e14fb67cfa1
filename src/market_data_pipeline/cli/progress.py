"""What is shown of a pipeline while it runs: on standard error, where that is a terminal, and gone when it ends."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from typing import Literal

import anyio

from market_data_pipeline.cli.look import Watcher
from market_data_pipeline.pipeline import PipelineSpec, StreamingPipeline
from market_data_pipeline.source.account import VendorAccount

View = Literal["auto", "full", "line", "none"]

REFRESH_SEC = 0.25
PATIENCE_SEC = 1.0
"""A pipeline that ends sooner shows nothing in the view "auto": it would only flicker."""
LEAST_WIDTH, LEAST_HEIGHT = 60, 14
"""A smaller terminal shows a line in the view "auto"."""


def is_wanted(spec: PipelineSpec) -> bool:
    """Return whether to show any: not into files and pipes, nor between rows that are printed on the same terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return False
    prints = any(sink.name == "console" or sink.settings.get("path") == "-" for sink in spec.sink)
    return not (prints and sys.stdout is not None and sys.stdout.isatty())


async def show_progress(
    pipeline: StreamingPipeline, accounts: Callable[[], Iterable[VendorAccount]], view: View = "auto"
) -> None:
    """Show how a pipeline and the accounts that it uses are until cancelled."""
    from rich.console import Console
    from rich.live import Live

    from market_data_pipeline.cli.view import full, line

    watcher, trouble = Watcher(pipeline, accounts), Trouble()
    console = Console(stderr=True)
    await anyio.sleep(PATIENCE_SEC if view == "auto" else REFRESH_SEC)
    logging.getLogger().addHandler(trouble)
    try:
        with Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, vertical_overflow="crop"
        ) as live:
            while True:
                room = console.width >= LEAST_WIDTH and console.height >= LEAST_HEIGHT
                look = await watcher.look(trouble.last)
                whole = view == "full" or (view == "auto" and room)
                live.update(full(look) if whole else line(look, console.width), refresh=True)
                await anyio.sleep(REFRESH_SEC)
    finally:
        logging.getLogger().removeHandler(trouble)


class Trouble(logging.Handler):
    """Keeps the last warning or error, which the log shows too and the screen soon does not."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.last = f"{record.levelname.lower()}: {record.getMessage()}"
