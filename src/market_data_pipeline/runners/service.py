"""Many pipelines at once, each by its key; what ended is remembered for a while."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

import anyio
import attrs

from market_data_pipeline.errors import ConfigurationError, MarketDataError, nearest
from market_data_pipeline.pipeline.builder import PipelineBuilder
from market_data_pipeline.pipeline.spec import PipelineSpec
from market_data_pipeline.pipeline.streaming import PipelineResult, PipelineStatus, StreamingPipeline
from market_data_pipeline.plugins.lifecycle import Tell
from market_data_pipeline.runners.configuration import Settings, settings_of
from market_data_pipeline.runners.supervisor import Supervisor
from market_data_pipeline.source.guard import FOREIGN

KEPT = 100
"""How many pipelines that ended are remembered."""

_log = logging.getLogger("market_data_pipeline.runners")


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

    def look(self) -> PipelineStatus:
        return self.pipeline.look() if isinstance(self.pipeline, StreamingPipeline) else self.pipeline

    async def status(self) -> PipelineStatus:
        return await self.pipeline.status() if isinstance(self.pipeline, StreamingPipeline) else self.pipeline


class PipelineService:
    """Runs pipelines beside each other: one's crash, and whoever started it, leave the others alone.

    `async with PipelineService() as service`, or `start()` and `stop()`, from any task of one event loop. Its pipelines
    share the providers of its builder.
    """

    def __init__(
        self,
        config: Settings = None,
        *,
        builder: PipelineBuilder | None = None,
        supervisor: Supervisor | None = None,
        max_concurrent_pipelines: int | None = None,
        tell: Tell = lambda *_: None,
    ) -> None:
        """Prepare a service; nothing runs yet.

        Args:
            config: Settings; a mapping goes before those of environment and settings file, and None is those alone.
            builder: Makes pipelines out of specs.
            supervisor: Owns the tasks; one of its own unless given, and then started and stopped by who gave it.
            max_concurrent_pipelines: One more than so many is refused; as the settings say, unless given.
            tell: Hears when a pipeline starts, is stopped, has ended or failed.

        Raises:
            ConfigurationError: A setting is wrong.
        """
        settings = settings_of(config)
        self._builder = builder or PipelineBuilder(settings)
        self._supervisor = supervisor or Supervisor("PipelineService", closing=self.stop_all)
        self._most = max_concurrent_pipelines or settings.max_concurrent_pipelines
        self._tell = tell
        self._jobs: dict[str, _Job] = {}

    async def start(self) -> None:
        """Get ready to run pipelines.

        Raises:
            ConfigurationError: It was started before.
        """
        await self._supervisor.start()

    async def stop(self) -> None:
        """Stop all pipelines gracefully, and return when they have ended. Idempotent."""
        await self._supervisor.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def create_pipeline(self, spec: PipelineSpec) -> str:
        """Start a pipeline.

        Returns:
            Its key, "tenant:pipeline".

        Raises:
            ConfigurationError: The spec is wrong, a pipeline of that key is running, or too many are.
            PluginError: A named plugin is not installed or does not load.
        """
        tasks = self._supervisor.tasks
        key = f"{spec.tenant_id}:{spec.pipeline_id}"
        running = await self.list_pipelines()
        if key in running:
            raise ConfigurationError(f"pipeline {key} is running: stop it first, or give this one another id")
        if len(running) >= self._most:
            raise ConfigurationError(
                f"{len(running)} pipelines are running, and no more may: stop one, or raise max_concurrent_pipelines"
            )
        pipeline = self._builder.build(spec)
        self._forget(key)
        self._jobs[key] = job = _Job(pipeline)
        self._tell("pipeline", key, "started", "")
        tasks.start_soon(self._run, key, job, pipeline)
        return key

    async def list_pipelines(self) -> list[str]:
        """Return the keys of the pipelines that are running."""
        return [key for key, job in self._jobs.items() if not job.finished.is_set()]

    async def get_pipeline_status(self, key: str) -> PipelineStatus:
        """Return how a pipeline is, or was when it ended.

        Raises:
            ConfigurationError: There is no such pipeline.
        """
        return await self._job(key).status()

    async def delete_pipeline(self, key: str) -> None:
        """Stop a pipeline gracefully, wait until all that it accepted is committed, and forget it.

        Raises:
            ConfigurationError: There is no such pipeline.
        """
        job = self._job(key)
        self._stop(key, job)
        await job.finished.wait()
        if self._jobs.get(key) is job:
            del self._jobs[key]

    async def stop_pipeline(self, key: str) -> PipelineResult:
        """Stop a pipeline gracefully, and wait until all that it accepted is committed.

        Returns:
            How it ended.

        Raises:
            ConfigurationError: There is no such pipeline.
            MarketDataError: The pipeline failed.
        """
        self._stop(key, self._job(key))
        return await self.wait_pipeline(key)

    async def wait_pipeline(self, key: str) -> PipelineResult:
        """Wait until a pipeline has ended.

        Returns:
            How it ended.

        Raises:
            ConfigurationError: There is no such pipeline, or the service was closed at once.
            MarketDataError: The pipeline failed.
        """
        job = self._job(key)
        await job.finished.wait()
        if job.error is not None:
            raise job.error
        if job.result is None:
            raise ConfigurationError(f"pipeline {key} was cancelled with its runtime")
        return job.result

    def look(self) -> dict[str, PipelineStatus]:
        """Return how each pipeline is, as `statuses` does, without asking sources how far they are."""
        return {key: job.look() for key, job in self._jobs.items()}

    async def statuses(self) -> dict[str, PipelineStatus]:
        """Return how each pipeline is, by key; those that ended too, the last 100."""
        return {key: await job.status() for key, job in self._jobs.items()}

    def errors(self) -> dict[str, str]:
        """Return by key why pipelines failed."""
        return {key: str(job.error) for key, job in self._jobs.items() if job.error is not None}

    def stop_all(self) -> None:
        """Ask every pipeline to stop gracefully."""
        for key, job in self._jobs.items():
            self._stop(key, job)

    def _stop(self, key: str, job: _Job) -> None:
        if not job.finished.is_set():
            self._tell("pipeline", key, "stopping", "")
            job.stop()

    def _job(self, key: str) -> _Job:
        try:
            return self._jobs[key]
        except KeyError:
            raise ConfigurationError(f"no pipeline {key!r}: {nearest(key, self._jobs)}") from None

    async def _run(self, key: str, job: _Job, pipeline: StreamingPipeline) -> None:
        try:
            job.result = await pipeline.run()
        except FOREIGN as error:  # one pipeline's crash is nobody else's
            job.error = error
            _log.error("pipeline %s failed: %s", key, error, exc_info=not isinstance(error, MarketDataError))
        finally:
            job.pipeline = pipeline.look()
            job.finished.set()
            self._tell("pipeline", key, "failed" if job.error else "ended", str(job.error or ""))

    def _forget(self, key: str) -> None:
        """Forget the pipeline of that key, and the oldest of too many that have ended."""
        self._jobs.pop(key, None)
        ended = [key for key, job in self._jobs.items() if job.finished.is_set()]
        for old in ended[: max(0, len(ended) - KEPT + 1)]:
            del self._jobs[old]
