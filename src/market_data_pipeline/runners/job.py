"""One pipeline of a service, from its start to what is remembered of it."""

from __future__ import annotations

import logging

import anyio

from market_data_pipeline.errors import ConfigurationError, MarketDataError
from market_data_pipeline.pipeline.streaming import PipelineResult, PipelineStatus, StreamingPipeline
from market_data_pipeline.source.guard import FOREIGN

_log = logging.getLogger("market_data_pipeline.runners")


class Job:
    """Runs a pipeline; once it has ended, only its status is kept, since its sink may hold much.

    Attributes:
        key: "tenant:pipeline".
        error: What it raised.
        finished: Set when it has ended.
    """

    def __init__(self, key: str, pipeline: StreamingPipeline) -> None:
        self.key: str = key
        self.error: BaseException | None = None
        self._pipeline: StreamingPipeline | PipelineStatus = pipeline
        self.finished: anyio.Event = anyio.Event()
        self._result: PipelineResult | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return not self.finished.is_set()

    async def run(self) -> None:
        """Run the pipeline; its crash is nobody else's."""
        pipeline = self._pipeline
        if not isinstance(pipeline, StreamingPipeline):
            return
        try:
            self._result = await pipeline.run()
        except FOREIGN as error:
            self.error = error
            _log.error("pipeline %s failed: %s", self.key, error, exc_info=not isinstance(error, MarketDataError))
        finally:
            self._pipeline = pipeline.look()
            self.finished.set()

    def stop(self) -> None:
        """Stop it gracefully, soon. Idempotent."""
        if isinstance(self._pipeline, StreamingPipeline):
            self._pipeline.stop()

    async def wait(self) -> PipelineResult:
        """Wait until it has ended.

        Returns:
            How it ended.

        Raises:
            ConfigurationError: It was cancelled with its runtime.
            MarketDataError: It failed.
        """
        await self.finished.wait()
        if self.error is not None:
            raise self.error
        if self._result is None:
            raise ConfigurationError(f"pipeline {self.key} was cancelled with its runtime")
        return self._result

    def look(self) -> PipelineStatus:
        """Return how it is now, without asking its source."""
        return self._pipeline.look() if isinstance(self._pipeline, StreamingPipeline) else self._pipeline

    async def status(self) -> PipelineStatus:
        """Return how it is now."""
        return await self._pipeline.status() if isinstance(self._pipeline, StreamingPipeline) else self._pipeline
