"""Logging of the command line: to standard error, which a progress line may own for a while."""

from __future__ import annotations

import logging
import sys


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what `sys.stderr` is at the moment: the progress line replaces it, to let other lines through above."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        if self.stream is not None:
            super().emit(record)


def configure(level: str) -> None:
    """Log from a level on, unless the program around this one did set up logging."""
    logging.basicConfig(level=level, handlers=[_Stderr()], format="mdp: %(levelname)s: %(name)s: %(message)s")
