"""The runtime for programs without an event loop: a script, a notebook cell, a library that blocks.

Its loop runs in a thread of its own, also inside a notebook, whose own loop stays free.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from functools import update_wrapper
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Batch, Row, StreamItem
from market_data_pipeline.orchestration import PipelineRuntime, StreamStatus, TickStream

__all__ = ["SyncRuntime", "SyncStream"]

P = ParamSpec("P")
R = TypeVar("R", bound=Row)
T = TypeVar("T")


class SyncStream(Generic[R]):
    """A stream to iterate with `for`; leaving the `with`, or the loop by `break` or Ctrl-C, closes it."""

    def __init__(self, stream: TickStream[R], portal: BlockingPortal) -> None:
        self._stream = stream
        self._portal = portal

    @property
    def symbols(self) -> tuple[str, ...]:
        """What the source serves; none: all that it has."""
        return self._stream.symbols

    @property
    def status(self) -> StreamStatus:
        """How it is now."""
        return self._portal.call(lambda: self._stream.status)

    def add(self, symbols: Sequence[str]) -> None:
        """Ask for these symbols too; raises what `TickStream.add` raises."""
        self._portal.call(self._stream.add, symbols)

    def remove(self, symbols: Sequence[str]) -> None:
        """Ask for these symbols no longer; raises what `TickStream.remove` raises."""
        self._portal.call(self._stream.remove, symbols)

    def items(self) -> Iterator[StreamItem]:
        """Yield batches and control events, in order."""
        found = self._stream.items()

        async def fetch() -> StreamItem | None:
            return await anext(found, None)

        try:
            while (item := self._portal.call(fetch)) is not None:
                yield item
        finally:
            self._stream.stop()

    def close(self) -> None:
        """Close the source and wait until it is closed. Idempotent."""
        self._portal.call(self._stream.aclose)

    def __iter__(self) -> Iterator[R]:
        for item in self.items():
            if isinstance(item, Batch):
                yield from cast("Sequence[R]", item.rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _blocking(
    method: Callable[Concatenate[PipelineRuntime, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[SyncRuntime, P], T]:
    """Return a method that waits for that of the runtime."""

    def call(self: SyncRuntime, /, *args: P.args, **kwargs: P.kwargs) -> T:
        portal, runtime = self._opened()
        answer: T = portal.call(lambda: method(runtime, *args, **kwargs))
        return answer

    update_wrapper(call, method)
    return call


def _streaming(
    method: Callable[Concatenate[PipelineRuntime, P], TickStream[R]],
) -> Callable[Concatenate[SyncRuntime, P], SyncStream[R]]:
    """Return a method that opens a stream of the runtime."""

    def call(self: SyncRuntime, /, *args: P.args, **kwargs: P.kwargs) -> SyncStream[R]:
        portal, runtime = self._opened()
        return SyncStream(portal.call(lambda: method(runtime, *args, **kwargs)), portal)

    update_wrapper(call, method)
    return call


class SyncRuntime:
    """A `PipelineRuntime` that blocks: `with SyncRuntime() as runtime: for quote in runtime.stream_quotes(["AAPL"])`.

    Its methods take what those of `PipelineRuntime` take, and raise what they raise, from any thread but its own.
    """

    def __init__(self, **options: Any) -> None:
        """Prepare a runtime; nothing is loaded yet.

        Args:
            options: Those of `PipelineRuntime`.
        """
        self._options = options
        self._stack = ExitStack()
        self._open: tuple[BlockingPortal, PipelineRuntime] | None = None

    stream_quotes = _streaming(PipelineRuntime.stream_quotes)
    stream_trades = _streaming(PipelineRuntime.stream_trades)
    stream_bars = _streaming(PipelineRuntime.stream_bars)
    get_historical_bars = _blocking(PipelineRuntime.get_historical_bars)
    get_options_chain = _blocking(PipelineRuntime.get_options_chain)
    resolve = _blocking(PipelineRuntime.resolve)
    run_pipeline = _blocking(PipelineRuntime.run_pipeline)
    list_pipelines = _blocking(PipelineRuntime.list_pipelines)
    stop_pipeline = _blocking(PipelineRuntime.stop_pipeline)
    wait_pipeline = _blocking(PipelineRuntime.wait_pipeline)
    status = _blocking(PipelineRuntime.status)

    def initialize(self) -> None:
        """Start the loop and the runtime in it.

        Raises:
            ConfigurationError: It is started.
        """
        if self._open is not None:
            raise ConfigurationError("this runtime is running: make a new SyncRuntime() for another one")
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio", name="market-data-pipeline"))
            runtime = portal.call(lambda: PipelineRuntime(**self._options))
            portal.call(runtime.initialize)
            stack.callback(portal.call, runtime.shutdown)
            self._stack = stack.pop_all()
        self._open = portal, runtime

    def shutdown(self) -> None:
        """Stop all pipelines gracefully, close all streams and providers, and end the loop. Idempotent."""
        self._open = None
        self._stack.close()

    def __enter__(self) -> Self:
        self.initialize()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def _opened(self) -> tuple[BlockingPortal, PipelineRuntime]:
        if self._open is None:
            raise ConfigurationError("this runtime is not running: use it inside `with SyncRuntime() as runtime`")
        return self._open
