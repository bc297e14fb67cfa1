"""Standard output, for data alone, and what happens when its reader goes away."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio.to_thread

from market_data_pipeline.errors import SinkError


async def write_stdout(text: str) -> None:
    """Write to standard output and flush it, off the loop: a reader may be slow.

    Raises:
        SinkError: It is closed; where its reader went away, as `head` does, the cause is a `BrokenPipeError`.
    """
    await anyio.to_thread.run_sync(_write, text)


def _write(text: str) -> None:
    if sys.stdout is None or sys.stdout.closed:
        raise SinkError("there is no standard output: write to a file instead")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        # The interpreter flushes standard output once more when it ends, and would complain.
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise SinkError("the reader of standard output went away") from error
