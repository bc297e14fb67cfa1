"""What settings say where a spec says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import attrs

from market_data_pipeline.pipeline.spec import Component, PipelineSpec
from market_data_pipeline.plugins import ComponentKind, Spec
from market_data_pipeline.settings.layers import merged
from market_data_pipeline.settings.loading import LoadedSettings, provider_key, provider_values
from market_data_pipeline.settings.mistakes import Place
from market_data_pipeline.settings.shape import Location, is_in
from market_data_pipeline.settings.tree import PipelineRuntimeSettings
from market_data_pipeline.settings.validation import validated

StageKind: TypeAlias = Literal["source"] | ComponentKind


@attrs.frozen
class Defaults:
    """The settings that lie under those of a spec."""

    config: PipelineRuntimeSettings = attrs.field(factory=PipelineRuntimeSettings)
    loaded: LoadedSettings | None = None
    """Knows where they come from."""

    @classmethod
    def of(cls, config: PipelineRuntimeSettings | LoadedSettings | None) -> Defaults:
        """Return those of some settings."""
        if isinstance(config, LoadedSettings):
            return cls(config.settings, config)
        return cls() if config is None else cls(config)

    def under(self, kind: StageKind, name: str) -> Mapping[str, Any]:
        """Return what lies under the settings of a stage."""
        if kind == "source":
            return provider_values(self.config, name)
        if (kind, name) == ("batcher", "hybrid"):
            return self.config.pipeline.batch.model_dump(exclude_none=True)
        if (kind, name) == ("sink", "store") and self.config.data_dir is not None:
            return {"path": str(self.config.data_dir)}
        return {}

    def settings(self, kind: StageKind, component: Component) -> dict[str, Any]:
        """Return the settings of a stage over those that lie under them."""
        return merged(self.under(kind, component.name), component.settings)

    def check(self, kind: StageKind, spec: Spec, component: Component, own: Place | None = None) -> Any:
        """Return the settings of a stage, checked by its own model.

        Args:
            kind: What it is.
            spec: What its plugin registered.
            component: What a pipeline's spec says.
            own: Tells of a location in that where it was written.

        Raises:
            ConfigurationError: Something is wrong; says where it was written.
        """
        under = self.under(kind, component.name)
        where = f"{kind} {component.name}"

        def place(location: Location) -> str:
            if self.loaded is not None and is_in(location, under) and not is_in(location, component.settings):
                return str(self.loaded.origin(("providers", provider_key(self.config, component.name), *location)))
            return own(location) if own else where

        return validated(
            spec, self.settings(kind, component), where=where, place=place if own or (self.loaded and under) else None
        )

    def value(self, spec: PipelineSpec, name: str) -> Any:
        """Return a field of a spec, or what settings say if it was left out."""
        return getattr(spec if name in spec.model_fields_set else self.config.pipeline, name)
