"""Many pipelines at once: each one fails alone, and those of one provider share its connection."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import attrs

from market_data_pipeline.errors import ConfigurationError, nearest
from market_data_pipeline.pipeline.builder import PipelineBuilder
from market_data_pipeline.pipeline.spec import PipelineSpec
from market_data_pipeline.pipeline.streaming import PipelineResult, PipelineStatus
from market_data_pipeline.runners.job import Job
from market_data_pipeline.runners.supervisor import Supervisor

KEPT = 100
"""How many pipelines that ended are remembered."""


@attrs.frozen(kw_only=True)
class ServiceConfig:
    """The limits of a service."""

    max_concurrent_pipelines: int = attrs.field(default=10, validator=attrs.validators.ge(1))
    """One pipeline more is refused."""


class PipelineService:
    """Runs pipelines by key, "tenant:pipeline".

    On its own between `start()` and `stop()`, or inside `async with`; that of a runtime lives with the runtime.
    """

    def __init__(
        self,
        config: ServiceConfig | None = None,
        *,
        builder: PipelineBuilder | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        """Prepare a service; nothing runs yet.

        Args:
            config: Its limits.
            builder: What makes pipelines out of specs; they share its providers.
            supervisor: That of a runtime, in whose care it is; None: its own.
        """
        self.config: ServiceConfig = config or ServiceConfig()
        self._builder = builder or PipelineBuilder()
        self._own = supervisor is None
        self._supervisor = supervisor or Supervisor("service", "async with PipelineService() as service", self.stop_all)
        self._jobs: dict[str, Job] = {}

    async def start(self) -> None:
        """Begin to take pipelines.

        Raises:
            ConfigurationError: It was started before, or belongs to a runtime.
        """
        if not self._own:
            raise ConfigurationError("this service starts and stops with its runtime")
        await self._supervisor.start()

    async def stop(self) -> None:
        """Stop all pipelines gracefully, and wait until all that they accepted is committed. Idempotent."""
        if self._own:
            await self._supervisor.stop()
        else:
            self.stop_all()
            for job in list(self._jobs.values()):
                await job.finished.wait()

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
            Its key.

        Raises:
            ConfigurationError: The spec is wrong, a pipeline of that key is running, or too many are.
            PluginError: A named plugin is not installed or does not load.
        """
        self._supervisor.check()
        key = f"{spec.tenant_id}:{spec.pipeline_id}"
        self._admit(key)
        job = Job(key, self._builder.build(spec))
        self._forget(key)
        self._jobs[key] = job
        self._supervisor.start_soon(job.run)
        return key

    async def delete_pipeline(self, key: str) -> None:
        """Stop a pipeline gracefully and forget it, however it ended.

        Raises:
            ConfigurationError: There is no such pipeline.
        """
        job = self._job(key)
        job.stop()
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
        job = self._job(key)
        job.stop()
        return await job.wait()

    async def wait_pipeline(self, key: str) -> PipelineResult:
        """Wait until a pipeline has ended.

        Returns:
            How it ended.

        Raises:
            ConfigurationError: There is no such pipeline, or the service was closed at once.
            MarketDataError: The pipeline failed.
        """
        return await self._job(key).wait()

    async def list_pipelines(self) -> list[str]:
        """Return the keys of the pipelines that are running."""
        return self._running()

    async def get_pipeline_status(self, key: str) -> PipelineStatus:
        """Return how a pipeline is, or was when it ended.

        Raises:
            ConfigurationError: There is no such pipeline.
        """
        return await self._job(key).status()

    def look(self) -> dict[str, PipelineStatus]:
        """Return how each pipeline is, by key; those that ended too, the last 100."""
        return {key: job.look() for key, job in self._jobs.items()}

    def errors(self) -> dict[str, str]:
        """Return why pipelines failed, by key."""
        return {key: str(job.error) for key, job in self._jobs.items() if job.error is not None}

    def stop_all(self) -> None:
        """Ask every pipeline to stop gracefully."""
        for job in self._jobs.values():
            job.stop()

    def _running(self) -> list[str]:
        return [key for key, job in self._jobs.items() if job.is_running]

    def _admit(self, key: str) -> None:
        running, limit = self._running(), self.config.max_concurrent_pipelines
        if key in running:
            raise ConfigurationError(f"pipeline {key} is running: stop it first, or give this one another id")
        if len(running) >= limit:
            raise ConfigurationError(
                f"{len(running)} pipelines are running, and max_concurrent_pipelines is {limit}: stop one, or raise it"
            )

    def _job(self, key: str) -> Job:
        try:
            return self._jobs[key]
        except KeyError:
            raise ConfigurationError(f"no pipeline {key!r}: {nearest(key, self._jobs)}") from None

    def _forget(self, key: str) -> None:
        """Forget the pipeline of that key, and the oldest of too many that have ended."""
        self._jobs.pop(key, None)
        ended = [key for key, job in self._jobs.items() if not job.is_running]
        for old in ended[: max(0, len(ended) - KEPT + 1)]:
            del self._jobs[old]
