"""The runtime: installed plugins, shared providers, streams and pipelines behind one object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import anyio
import attrs

from market_data_pipeline.channel import Policy
from market_data_pipeline.contracts import StreamRequest
from market_data_pipeline.errors import CapabilityNotSupported, ConfigurationError, MarketDataError, nearest
from market_data_pipeline.model import Quote
from market_data_pipeline.orchestration.stream import Feed, TickStream
from market_data_pipeline.pipeline.builder import PipelineBuilder
from market_data_pipeline.pipeline.components import validated
from market_data_pipeline.pipeline.spec import PipelineSpec
from market_data_pipeline.pipeline.streaming import PipelineResult, PipelineStatus, StreamingPipeline
from market_data_pipeline.plugins import PluginHost
from market_data_pipeline.source.adapter import PluginSource
from market_data_pipeline.source.guard import FOREIGN
from market_data_pipeline.source.pool import ProviderPool
from market_data_pipeline.source.services import ServiceFactory

DEFAULT_PROVIDER = "synthetic"
KEPT = 100
"""How many pipelines that ended are remembered."""

_log = logging.getLogger("market_data_pipeline.orchestration")


@attrs.define(eq=False)
class _Job:
    pipeline: StreamingPipeline | PipelineStatus
    """How it was, once it has ended: its sink may hold much."""
    finished: anyio.Event = attrs.field(factory=anyio.Event)
    result: PipelineResult | None = None
    error: BaseException | None = None

    def stop(self) -> None:
        if isinstance(self.pipeline, StreamingPipeline):
            self.pipeline.stop()

    async def status(self) -> PipelineStatus:
        return await self.pipeline.status() if isinstance(self.pipeline, StreamingPipeline) else self.pipeline


@attrs.frozen(kw_only=True)
class RuntimeStatus:
    """A look at a runtime; taking it changes nothing."""

    state: Literal["new", "running", "closed"]
    providers: tuple[str, ...]
    """The providers in use."""
    streams: int
    """How many streams are open."""
    pipelines: Mapping[str, PipelineStatus]
    """By key; those that ended too, the last 100."""
    errors: Mapping[str, str]
    """By key, why a pipeline failed."""


class PipelineRuntime:
    """Composes pipelines and streams out of installed plugins.

    `async with PipelineRuntime() as runtime`, or `initialize()` and `shutdown()`, from any task of one event loop. Its
    work lives in a supervisor task of its own, so that neither cancellation nor a crash of one user reaches another.
    """

    def __init__(
        self,
        *,
        provider: str | None = None,
        provider_settings: Mapping[str, Any] | None = None,
        host: PluginHost | None = None,
        services: ServiceFactory | None = None,
    ) -> None:
        """Prepare a runtime; nothing is loaded yet.

        Args:
            provider: Where streams come from unless they say otherwise. None is "synthetic", with a warning each time.
            provider_settings: Its settings.
            host: The plugins to look in; those of this environment unless given.
            services: Clock and randomness for everything in it.
        """
        self._provider = provider
        self._provider_settings = dict(provider_settings or {})
        self._pool = ProviderPool(services or ServiceFactory())
        self._builder = PipelineBuilder(host, self._pool)
        self._jobs: dict[str, _Job] = {}
        self._feeds: set[Feed] = set()
        self._state: Literal["new", "running", "closed"] = "new"
        self._closing = anyio.Event()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._supervisor: asyncio.Task[None] | None = None

    # --- life ---------------------------------------------------------------------------------------------------

    async def initialize(self) -> None:
        """Start the supervisor.

        Raises:
            ConfigurationError: It was started before.
        """
        if self._state != "new":
            raise ConfigurationError(f"this runtime is {self._state}: make a new PipelineRuntime()")
        self._state = "running"
        ready = anyio.Event()
        self._supervisor = asyncio.create_task(self._supervise(ready), name="market-data-pipeline supervisor")
        try:
            await ready.wait()
        except BaseException:
            self._closing.set()
            raise

    async def shutdown(self) -> None:
        """Stop all pipelines gracefully, close all streams and providers, and return when that is done. Idempotent.

        A cancel scope around it does not cut that short; a task that is cancelled meanwhile ends everything at once.

        Raises:
            CancelledError: The task was cancelled.
        """
        self._state = "closed"
        self._closing.set()
        if self._supervisor is None:
            return
        with anyio.CancelScope(shield=True):
            try:
                await asyncio.wait({self._supervisor})
            except asyncio.CancelledError:
                if self._tasks is not None:
                    self._tasks.cancel_scope.cancel()
                raise

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    async def _supervise(self, ready: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            ready.set()
            await self._closing.wait()
            for job in self._jobs.values():
                job.stop()
            for feed in self._feeds:
                feed.stop()

    def _running(self) -> anyio.abc.TaskGroup:
        if self._state != "running" or self._tasks is None:
            raise ConfigurationError(
                f"this runtime is {self._state}: use it inside `async with PipelineRuntime() as runtime`"
            )
        return self._tasks

    # --- streams ------------------------------------------------------------------------------------------------

    def stream_quotes(
        self,
        symbols: Sequence[str],
        *,
        provider: str | None = None,
        settings: Mapping[str, Any] | None = None,
        on_full: Policy = "drop_oldest",
    ) -> TickStream[Quote]:
        """Open a stream of quotes.

        Args:
            symbols: What to ask for, as the rows shall carry them.
            provider: An installed provider or source; the runtime's own unless given.
            settings: Its settings; those given to the runtime if it is the runtime's own provider.
            on_full: What happens when the reader is slower than the market.

        Returns:
            A handle to iterate, best inside its own `async with`.

        Raises:
            ConfigurationError: The runtime is not running, or a setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It has no quotes.
        """
        tasks = self._running()
        if isinstance(symbols, str):
            raise ConfigurationError(f"symbols is a list of symbols, such as [{symbols!r}]")
        name = provider or self._default_provider()
        spec = self._builder.find_source(name)
        if "quote" not in spec.capabilities.kinds:
            raise CapabilityNotSupported(
                f"{name} has no quotes: it streams {', '.join(sorted(spec.capabilities.kinds)) or 'nothing'}",
                source=name,
            )
        given = self._provider_settings if settings is None and name == self._provider else settings or {}
        request = StreamRequest(symbols=tuple(symbols))
        source = PluginSource(spec, validated(spec, given, where=f"source {name}"), request, self._pool)
        feed = Feed(source, policy=on_full, clock=self._pool.services.clock)
        self._feeds.add(feed)
        tasks.start_soon(self._run_feed, feed)
        return TickStream(feed, Quote)

    async def _run_feed(self, feed: Feed) -> None:
        try:
            await feed.run()
        finally:
            self._feeds.discard(feed)

    def _default_provider(self) -> str:
        if self._provider is not None:
            return self._provider
        _log.warning("no provider is configured: quotes are synthetic; name one, such as provider='ibkr'")
        return DEFAULT_PROVIDER

    # --- pipelines ----------------------------------------------------------------------------------------------

    async def run_pipeline(self, spec: PipelineSpec) -> str:
        """Start a pipeline.

        Returns:
            Its key, "tenant:pipeline".

        Raises:
            ConfigurationError: The spec is wrong, or a pipeline of that key is running.
            PluginError: A named plugin is not installed or does not load.
        """
        tasks = self._running()
        key = f"{spec.tenant_id}:{spec.pipeline_id}"
        if (job := self._jobs.get(key)) is not None and not job.finished.is_set():
            raise ConfigurationError(f"pipeline {key} is running: stop it first, or give this one another id")
        pipeline = self._builder.build(spec)
        self._forget(key)
        self._jobs[key] = job = _Job(pipeline)
        tasks.start_soon(self._run_job, key, job, pipeline)
        return key

    async def list_pipelines(self) -> list[str]:
        """Return the keys of the pipelines that are running."""
        return [key for key, job in self._jobs.items() if not job.finished.is_set()]

    async def stop_pipeline(self, key: str) -> PipelineResult:
        """Stop a pipeline gracefully, and wait until all that it accepted is committed.

        Returns:
            How it ended.

        Raises:
            ConfigurationError: There is no such pipeline.
            MarketDataError: The pipeline failed.
        """
        self._job(key).stop()
        return await self.wait_pipeline(key)

    async def wait_pipeline(self, key: str) -> PipelineResult:
        """Wait until a pipeline has ended.

        Returns:
            How it ended.

        Raises:
            ConfigurationError: There is no such pipeline, or the runtime was closed at once.
            MarketDataError: The pipeline failed.
        """
        job = self._job(key)
        await job.finished.wait()
        if job.error is not None:
            raise job.error
        if job.result is None:
            raise ConfigurationError(f"pipeline {key} was cancelled with its runtime")
        return job.result

    def _job(self, key: str) -> _Job:
        try:
            return self._jobs[key]
        except KeyError:
            raise ConfigurationError(f"no pipeline {key!r}: {nearest(key, self._jobs)}") from None

    async def _run_job(self, key: str, job: _Job, pipeline: StreamingPipeline) -> None:
        try:
            job.result = await pipeline.run()
        except FOREIGN as error:  # one pipeline's crash is nobody else's
            job.error = error
            _log.error("pipeline %s failed: %s", key, error, exc_info=not isinstance(error, MarketDataError))
        finally:
            job.pipeline = await pipeline.status()
            job.finished.set()

    def _forget(self, key: str) -> None:
        """Forget the pipeline of that key, and the oldest of too many that have ended."""
        self._jobs.pop(key, None)
        ended = [key for key, job in self._jobs.items() if job.finished.is_set()]
        for old in ended[: max(0, len(ended) - KEPT + 1)]:
            del self._jobs[old]

    # --- status -------------------------------------------------------------------------------------------------

    async def status(self) -> RuntimeStatus:
        """Return how everything is now."""
        return RuntimeStatus(
            state=self._state,
            providers=tuple(self._pool.names()),
            streams=len(self._feeds),
            pipelines={key: await job.status() for key, job in self._jobs.items()},
            errors={key: str(job.error) for key, job in self._jobs.items() if job.error is not None},
        )
