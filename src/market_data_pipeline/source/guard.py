"""The border to foreign code: only the contract's errors get through, and nothing that hangs holds up the rest.

What may hang runs in a task of its own. That task is cancelled natively, and once: so its own cleanup can still await
something, and if it ignores that, it is left behind and reported. A cancel scope would cancel it again and again, and
wait for it for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio

from market_data_pipeline.errors import MarketDataError, SourceBug, SourceTimeout

CONNECT_TIMEOUT = 30.0
STATUS_TIMEOUT = 5.0
CLOSE_TIMEOUT = 2.0

FOREIGN = (Exception, SystemExit, BaseExceptionGroup)
"""What foreign code may raise without ending the program; not `KeyboardInterrupt` and cancellation."""

T = TypeVar("T")

_log = logging.getLogger("market_data_pipeline.source")


@contextmanager
def contract_errors(name: str) -> Iterator[None]:
    """Turn an exception that the contract does not know into `SourceBug` with the name of the plugin.

    Raises:
        SourceBug: Something else than the framework's own errors was raised inside.
        MarketDataError: As it was raised inside.
    """
    try:
        yield
    except MarketDataError:
        raise
    except FOREIGN as error:
        raise SourceBug(
            f"{name} raised {type(error).__name__}: {error}; a source raises only the errors of "
            "market_data_pipeline.errors: report this to the plugin's author",
            source=name,
        ) from error


async def run_foreign(name: str, work: Callable[[], Awaitable[T]], *, limit: float | None = None) -> T:
    """Run foreign code in a task of its own, which ends with this call or is left behind 2 s later.

    Args:
        name: Whose code it is, for the log.
        work: The code.
        limit: Seconds after which it is cancelled; None: never.

    Returns:
        What it returns.

    Raises:
        TimeoutError: The limit has passed.
        BaseException: What it raises; a RuntimeError in place of `SystemExit`, and of a cancellation by itself.
    """
    task = asyncio.create_task(_without_exit(work), name=name)
    try:
        await asyncio.wait({task}, timeout=limit)
    finally:
        if not task.done():
            task.cancel()
            await _outlast(task)
            _report(name, task)
    if task.cancelled():
        raise TimeoutError if limit is not None else RuntimeError("it cancelled itself")
    return task.result()
