"""The console sink: one line a row on standard output."""

from __future__ import annotations

import logging
from typing import Literal

from market_data_pipeline.model import Batch, Connected, StreamItem, Watermark
from market_data_pipeline.sink.base import BaseSink
from market_data_pipeline.sink.lines import json_lines, text_lines
from market_data_pipeline.sink.stdout import write_stdout

_log = logging.getLogger("market_data_pipeline.sink")


class ConsoleSink(BaseSink):
    """Prints rows; what happened to the stream (a gap, a failover) goes to the log, since stdout is for data alone."""

    def __init__(self, format: Literal["text", "json"] = "text") -> None:  # noqa: A002 - the name of the setting
        self._format = format

    async def write(self, item: StreamItem) -> None:
        """Print the rows of a batch.

        Raises:
            SinkError: Standard output is closed; the cause is a `BrokenPipeError` where its reader went away.
        """
        if isinstance(item, Batch):
            await write_stdout(json_lines(item).decode() if self._format == "json" else text_lines(item))
        elif not isinstance(item, Watermark | Connected):
            _log.warning("%s", item)
