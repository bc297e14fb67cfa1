"""The border to foreign code: only the contract's errors get through, and nothing that hangs holds up the rest.

What may hang runs in a task of its own. That task is cancelled natively, and once: so its own cleanup can still await
something, and if it ignores that, it is left behind and reported. A cancel scope would cancel it again and again, and
wait for it for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any, Protocol, TypeVar

import anyio

from market_data_pipeline.errors import MarketDataError, PluginContractError, SourceBug, SourceTimeout
from market_data_pipeline.source.patience import Patience

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


async def run_foreign(
    name: str, work: Callable[[], Coroutine[Any, Any, T]], *, limit: float | Patience | None = None
) -> T:
    """Run foreign code in a task of its own; when this is cancelled, it has 2 s to end, and is then left behind.

    Args:
        name: Whose code it is, for the log.
        work: The code.
        limit: Seconds after which it is cancelled, not counting what it waits for a budget; None: never.

    Returns:
        What it returns.

    Raises:
        TimeoutError: The limit has passed.
        PluginContractError: It was cancelled, and nobody did that; or it called `sys.exit`.
        CancelledError: This was cancelled.
        BaseException: What it raises.
    """

    async def contained() -> T:
        try:
            return await work()
        except SystemExit as error:  # in a task it would end the loop
            raise PluginContractError(f"{name} called sys.exit({error.code!r})", plugin=name) from error

    patience = limit if isinstance(limit, Patience) else Patience(limit)
    with patience.governing():
        task = asyncio.create_task(contained(), name=name)
    try:
        while not task.done() and (left := patience.left()):
            await asyncio.wait({task}, timeout=left if left < inf else None)
    except asyncio.CancelledError:
        await _end(name, task)
        raise
    if not task.done():
        await _end(name, task)
        raise TimeoutError
    if task.cancelled():
        raise PluginContractError(f"{name} raised CancelledError, and nobody cancelled it", plugin=name)
    return task.result()


async def bounded_start(name: str, source: object) -> None:
    """Run the `start` of a source or provider, which a `RowSource` need not have, for at most 30 s.

    Raises:
        SourceTimeout: It took longer.
        SourceError: It failed.
    """
    start: Callable[[], Awaitable[None]] | None = getattr(source, "start", None)
    if start is None:
        return

    async def connect() -> None:
        with contract_errors(name):
            await start()

    try:
        await run_foreign(name, connect, limit=CONNECT_TIMEOUT)
    except TimeoutError:
        raise SourceTimeout(f"{name} did not start within {CONNECT_TIMEOUT:g} s", source=name) from None


class Closeable(Protocol):
    """A source, provider or sink."""

    async def close(self) -> None:
        """Give back all it holds."""


async def bounded_close(name: str, what: Closeable) -> None:
    """Run a `close`, whatever happens to the caller, for at most 2 s; a hang or an exception is logged, not raised."""

    async def disconnect() -> None:
        try:
            await what.close()
        except FOREIGN:
            _log.exception("%s failed to close", name)

    task = asyncio.create_task(disconnect(), name=f"close {name}")
    try:
        await _outlast(task)
    finally:
        if not task.done():
            task.cancel()
            _log.error("%s did not close within %g s and was left behind", name, CLOSE_TIMEOUT)


async def _end(name: str, task: asyncio.Task[Any]) -> None:
    task.cancel()
    try:
        await _outlast(task)
    finally:
        if not task.done():
            _log.error("%s ignores its cancellation and was left behind after %g s", name, CLOSE_TIMEOUT)
        elif not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("%s failed while it was being stopped: %s", name, error)


async def _outlast(task: asyncio.Task[Any]) -> None:
    """Wait for a task for at most 2 s, whatever happens to the waiter: who is cancelled meanwhile, is so afterwards."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CLOSE_TIMEOUT
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done() and loop.time() < deadline:
            try:
                await asyncio.wait({task}, timeout=deadline - loop.time())
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
