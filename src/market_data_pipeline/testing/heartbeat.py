"""Whether a loop still turns, seen from another thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import extract_stack
from types import FrameType


@contextmanager
def watch(loop: asyncio.AbstractEventLoop, limit_s: float) -> Iterator[list[str]]:
    """Ping the loop of this thread until the end of the block.

    Yields:
        A list that gets the place, `file:line in function`, where the loop stood whenever an answer took too long.
    """
    blocked: list[str] = []
    done = threading.Event()
    args = (loop, threading.get_ident(), limit_s, done, blocked)
    thread = threading.Thread(target=_ping, args=args, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield blocked
    finally:
        done.set()
        thread.join()


def _ping(
    loop: asyncio.AbstractEventLoop, ident: int, limit_s: float, done: threading.Event, blocked: list[str]
) -> None:
    while not done.is_set():
        answer = threading.Event()
        loop.call_soon_threadsafe(answer.set)
        if not answer.wait(limit_s) and not done.is_set():
            frame = sys._current_frames().get(ident)  # noqa: SLF001 (the one way to see another thread's stack)
            if frame is not None:
                blocked.append(_place(frame))
            return
        done.wait(limit_s / 10)


def _place(frame: FrameType) -> str:
    last = extract_stack(frame)[-1]
    return f"{last.filename}:{last.lineno} in {last.name}"
