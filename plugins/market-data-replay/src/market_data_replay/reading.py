"""A generator that blocks, driven from the loop."""

from __future__ import annotations

from collections.abc import Generator
from threading import Lock
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class InThread(Generic[T]):
    """Runs each step of a generator in a thread, one after the other.

    A task that is cancelled leaves its step at work: what is done next, the closing too, waits for it.
    """

    def __init__(self, generator: Generator[T]) -> None:
        self._generator = generator
        self._lock = Lock()

    async def next(self) -> T | None:
        """Return what the generator yields next, or None at its end."""
        return await anyio.to_thread.run_sync(self._next)

    async def aclose(self) -> None:
        """Close the generator, whatever happens to the caller."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def _next(self) -> T | None:
        with self._lock:
            return next(self._generator, None)

    def _close(self) -> None:
        with self._lock:
            self._generator.close()
