"""How long foreign code may take, where what it waits for a vendor's budget does not count: that is our own doing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

_current: ContextVar[Patience | None] = ContextVar("market_data_pipeline_patience", default=None)


class Patience:
    """A time limit that stands still while its code waits for a budget.

    Args:
        seconds: The limit; None: there is none.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = inf if seconds is None else seconds
        self._waits = 0
        self.renew()

    def renew(self) -> None:
        """Begin again."""
        self._left = self._seconds  # at `_since`
        self._since = asyncio.get_running_loop().time()

    def left(self) -> float:
        """Return the seconds that are left; while it stands still more than none, however long that takes."""
        if self._waits:
            return self._seconds
        return max(0.0, self._left - (asyncio.get_running_loop().time() - self._since))

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let time not count in this block."""
        if not self._waits:
            self._left = self.left()
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1
            self._since = asyncio.get_running_loop().time()

    @contextmanager
    def governing(self) -> Iterator[None]:
        """Let the tasks that are made in this block be under this limit."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


@contextmanager
def waiting_for_budget() -> Iterator[None]:
    """Stop the clock of whoever limits the code that runs here."""
    patience = _current.get()
    if patience is None:
        yield
    else:
        with patience.standing_still():
            yield
