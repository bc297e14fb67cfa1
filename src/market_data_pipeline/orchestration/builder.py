"""What a runtime adds to the building of pipelines: its own registry."""

from __future__ import annotations

from market_data_pipeline.orchestration.registry import SourceRegistry
from market_data_pipeline.pipeline.builder import PipelineBuilder
from market_data_pipeline.plugins import PluginHost, ProviderSpec, SourceSpec
from market_data_pipeline.settings import PipelineRuntimeSettings
from market_data_pipeline.source.pool import ProviderPool


class RuntimeBuilder(PipelineBuilder):
    """Builds the pipelines of one runtime."""

    def __init__(
        self, config: PipelineRuntimeSettings, registry: SourceRegistry, *, host: PluginHost, pool: ProviderPool
    ) -> None:
        super().__init__(config, host=host, pool=pool)
        self._registry = registry

    def find_source(self, name: str) -> ProviderSpec | SourceSpec:
        """Return what the program registered under that name, or what is installed; raises what both raise."""
        return self._registry.spec(name) or super().find_source(name)
