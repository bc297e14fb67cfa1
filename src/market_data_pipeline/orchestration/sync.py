"""The runtime for programs without `async`: its loop runs in a thread of its own."""

from __future__ import annotations

import atexit
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Bar, Batch, History, Instrument, OptionChain, Quote, Row, StreamItem, Trade
from market_data_pipeline.orchestration.runtime import PipelineRuntime
from market_data_pipeline.orchestration.status import RuntimeStatus
from market_data_pipeline.orchestration.stream import StreamStatus, TickStream
from market_data_pipeline.pipeline.spec import PipelineSpec
from market_data_pipeline.pipeline.streaming import PipelineResult

R = TypeVar("R", bound=Row)
T = TypeVar("T")


class _Loop:
    """The loop of a runtime, in a thread of its own."""

    def __init__(self) -> None:
        self._portal: BlockingPortal | None = None
        self._calling = Lock()

    @contextmanager
    def run(self, runtime: PipelineRuntime) -> Iterator[None]:
        """Run the runtime until the end of the block."""
        with start_blocking_portal("asyncio") as portal:
            self._portal = portal
            try:
                with portal.wrap_async_context_manager(runtime):
                    yield
            finally:
                with self._calling:  # a call that came later might never be answered
                    self._portal = None

    def call(self, work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run something in the loop; Ctrl-C meanwhile cancels it.

        Returns:
            What it returns.

        Raises:
            ConfigurationError: The runtime is not running.
            BaseException: What it raises.
        """
        with self._calling:
            if self._portal is None:
                raise ConfigurationError(
                    "this SyncRuntime is not running: use it inside `with SyncRuntime() as runtime`"
                )
            answer = self._portal.start_task_soon(work, *arguments)
        try:
            return answer.result()
        finally:
            answer.cancel()


class SyncStream(Generic[R]):
    """A stream without `async`: `with runtime.stream_quotes([…]) as quotes: for quote in quotes: …`.

    Leaving the `with`, or the end of the `for` by whatever way, closes the source. Who still reads when the runtime has
    ended gets a `ConfigurationError`: what was not read by then is lost.
    """

    def __init__(self, loop: _Loop, stream: TickStream[R]) -> None:
        self._loop = loop
        self._stream = stream

    def __iter__(self) -> Iterator[R]:
        """Yield rows until the source ends; a batch crosses between the threads, not a row."""
        for item in self.items():
            if isinstance(item, Batch) and item.row_type is self._stream.row_type:
                yield from cast("Sequence[R]", item.rows)

    def items(self) -> Iterator[StreamItem]:
        """Yield batches and control events until the source ends."""
        items = self._stream.items()
        try:
            while (item := self._loop.call(_advance, items)) is not None:
                yield item
        finally:
            self._stream.stop()

    def add(self, symbols: Sequence[str]) -> None:
        """Ask for more symbols; raises what `TickStream.add` raises."""
        self._loop.call(self._stream.add, symbols)

    def remove(self, symbols: Sequence[str]) -> None:
        """Ask for these symbols no more; raises what `TickStream.remove` raises."""
        self._loop.call(self._stream.remove, symbols)

    @property
    def status(self) -> StreamStatus:
        """How it is now."""
        try:
            return self._loop.call(_status, self._stream)
        except ConfigurationError:  # nothing changes it any more
            return self._stream.status

    def close(self) -> None:
        """Close the source and wait until it is closed. Idempotent."""
        with suppress(ConfigurationError):  # the runtime has closed it
            self._loop.call(self._stream.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SyncRuntime:
    """`PipelineRuntime` without `async`: `with SyncRuntime(provider="synthetic") as runtime: …`.

    It takes the arguments of `PipelineRuntime`, and its methods take, return and raise what those of `PipelineRuntime`
    do. They may be called from any thread, also from one in which a loop is running, such as that of a notebook. One
    that is still running at the end of the program is ended then.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._make = partial(PipelineRuntime, *arguments, **options)
        self._stack = ExitStack()
        self._loop = _Loop()
        self._runtime: PipelineRuntime | None = None

    def __enter__(self) -> Self:
        if self._runtime is not None:
            raise ConfigurationError("this SyncRuntime was used already: make a new one")
        self._runtime = self._make()
        self._stack.enter_context(self._loop.run(self._runtime))
        atexit.register(self._stack.close)  # later, its thread would stand still, and whoever waits for it too
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        atexit.unregister(self._stack.close)
        self._stack.close()

    def stream_quotes(self, symbols: Sequence[str], *arguments: Any, **options: Any) -> SyncStream[Quote]:
        """Open a stream of quotes, as `PipelineRuntime.stream_quotes` does."""
        return self._open(lambda runtime: runtime.stream_quotes(symbols, *arguments, **options))

    def stream_trades(self, symbols: Sequence[str], *arguments: Any, **options: Any) -> SyncStream[Trade]:
        """Open a stream of trades, as `PipelineRuntime.stream_trades` does."""
        return self._open(lambda runtime: runtime.stream_trades(symbols, *arguments, **options))

    def stream_bars(self, symbols: Sequence[str], *arguments: Any, **options: Any) -> SyncStream[Bar]:
        """Open a stream of bars, as `PipelineRuntime.stream_bars` does."""
        return self._open(lambda runtime: runtime.stream_bars(symbols, *arguments, **options))

    def get_historical_bars(self, symbol: str, **options: Any) -> History:
        """Return bars of the past, as `PipelineRuntime.get_historical_bars` does."""
        return self._call(lambda runtime: runtime.get_historical_bars(symbol, **options))

    def get_options_chain(self, underlying: str, **options: Any) -> OptionChain:
        """Return the listed contracts of an underlying, as `PipelineRuntime.get_options_chain` does."""
        return self._call(lambda runtime: runtime.get_options_chain(underlying, **options))

    def resolve(self, symbol: str, **options: Any) -> tuple[Instrument, ...]:
        """Return what a symbol may stand for, as `PipelineRuntime.resolve` does."""
        return self._call(lambda runtime: runtime.resolve(symbol, **options))

    def run_pipeline(self, spec: PipelineSpec) -> str:
        """Start a pipeline, as `PipelineRuntime.run_pipeline` does."""
        return self._call(lambda runtime: runtime.run_pipeline(spec))

    def list_pipelines(self) -> list[str]:
        """Return the keys of the pipelines that are running."""
        return self._call(lambda runtime: runtime.list_pipelines())

    def stop_pipeline(self, key: str) -> PipelineResult:
        """Stop a pipeline, as `PipelineRuntime.stop_pipeline` does."""
        return self._call(lambda runtime: runtime.stop_pipeline(key))

    def wait_pipeline(self, key: str) -> PipelineResult:
        """Wait until a pipeline has ended, as `PipelineRuntime.wait_pipeline` does."""
        return self._call(lambda runtime: runtime.wait_pipeline(key))

    def status(self) -> RuntimeStatus:
        """Return how everything is now."""
        return self._call(lambda runtime: runtime.status())

    def _open(self, open_stream: Callable[[PipelineRuntime], TickStream[R]]) -> SyncStream[R]:
        async def opened(runtime: PipelineRuntime) -> TickStream[R]:  # noqa: RUF029 - it has to run in the loop
            return open_stream(runtime)

        return SyncStream(self._loop, self._call(opened))

    def _call(self, ask: Callable[[PipelineRuntime], Awaitable[T]]) -> T:
        return self._loop.call(ask, self._runtime)


async def _advance(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)


async def _status(stream: TickStream[Any]) -> StreamStatus:  # noqa: RUF029 - it has to run in the loop
    return stream.status
