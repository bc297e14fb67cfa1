"""What a runtime adds to the building of pipelines: its own registry, and its own data directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from market_data_pipeline.orchestration.registry import SourceRegistry
from market_data_pipeline.pipeline.builder import PipelineBuilder
from market_data_pipeline.pipeline.spec import Component
from market_data_pipeline.plugins import ComponentKind, PluginHost, ProviderSpec, SourceSpec
from market_data_pipeline.source.pool import ProviderPool


class RuntimeBuilder(PipelineBuilder):
    """Builds the pipelines of one runtime."""

    def __init__(self, host: PluginHost, pool: ProviderPool, registry: SourceRegistry, data_dir: Path) -> None:
        super().__init__(host, pool)
        self._registry = registry
        self._data_dir = data_dir

    def find_source(self, name: str) -> ProviderSpec | SourceSpec:
        """Return what the program registered under that name, or what is installed; raises what both raise."""
        return self._registry.spec(name) or super().find_source(name)

    def _component(self, kind: ComponentKind, component: Component) -> Any:
        if (kind, component.name) == ("sink", "store"):
            settings = {"path": str(self._data_dir), **component.settings}
            component = component.model_copy(update={"settings": settings})
        return super()._component(kind, component)
