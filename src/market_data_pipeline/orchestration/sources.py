"""Which source a program means: by name, by priority, with its settings."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import CapabilityNotSupported, ConfigurationError, PluginError
from market_data_pipeline.model import Kind
from market_data_pipeline.orchestration.registry import SourceRegistry
from market_data_pipeline.pipeline.builder import PipelineBuilder
from market_data_pipeline.pipeline.components import validated
from market_data_pipeline.pipeline.spec import Component
from market_data_pipeline.plugins import ComponentKind, PluginHost, ProviderSpec, SourceSpec
from market_data_pipeline.source.pool import ProviderPool

DEFAULT_PROVIDER: Final = "synthetic"

_log = logging.getLogger("market_data_pipeline.orchestration")


class RuntimeBuilder(PipelineBuilder):
    """Builds the pipelines of a runtime: they know its registry and its data directory."""

    def __init__(self, host: PluginHost | None, pool: ProviderPool, registry: SourceRegistry, data_dir: Path) -> None:
        super().__init__(host, pool)
        self._registry = registry
        self._data_dir = data_dir

    def find_source(self, name: str) -> ProviderSpec | SourceSpec:
        """Return what the program registered under that name, or what is installed."""
        return self._registry.spec(name) or super().find_source(name)

    def _component(self, kind: ComponentKind, component: Component) -> Any:
        if (kind, component.name) == ("sink", "store"):
            settings = {"path": str(self._data_dir), **component.settings}
            component = component.model_copy(update={"settings": settings})
        return super()._component(kind, component)


@attrs.frozen
class Chosen:
    """A source and its settings, checked."""

    spec: ProviderSpec | SourceSpec
    settings: Any


@attrs.frozen
class SourceChooser:
    """Chooses for the calls of a runtime."""

    builder: PipelineBuilder
    provider: str | None
    """What is used where a call names none."""
    provider_settings: Mapping[str, Any]

    def for_stream(
        self,
        priority: str | Sequence[str] | None,
        provider: str | None,
        settings: Mapping[str, Any] | None,
        wanted: Sequence[Kind],
    ) -> Chosen:
        """Return the first one that is there and streams one of the wanted kinds.

        Raises:
            ConfigurationError: A setting is wrong, or both ways of naming one are used.
            PluginError: None is installed and loads.
            CapabilityNotSupported: It streams other kinds.
        """
        if provider is not None and priority is not None:
            raise ConfigurationError("name the source once: with provider=, or with source_priority=")
        names = [priority] if isinstance(priority, str) else list(priority or ()) or [self._name(provider)]
        problems: list[PluginError | CapabilityNotSupported] = []
        for name in names:
            try:
                return self._checked(self._streaming(name, wanted), settings)
            except (PluginError, CapabilityNotSupported) as error:
                problems.append(error)
                if len(names) > 1:
                    _log.warning("%s is passed over: %s", name, error)
        raise problems[0]

    def for_request(
        self, provider: str | None, settings: Mapping[str, Any] | None, *, what: str, needs: str
    ) -> tuple[ProviderSpec, Any]:
        """Return the provider for a request, by the capability that it needs.

        Raises:
            ConfigurationError: A setting is wrong.
            PluginError: It is not installed or does not load.
            CapabilityNotSupported: It does not declare the capability.
        """
        spec = self.builder.find_source(self._name(provider))
        offers = {
            "history": "bar" in spec.capabilities.history,
            "option_chain": spec.capabilities.option_chain,
            "resolve": spec.capabilities.resolve,
        }
        if not (isinstance(spec, ProviderSpec) and offers[needs]):
            raise CapabilityNotSupported(f"{spec.name} has no {what}: {describe(spec.capabilities)}", source=spec.name)
        return spec, self._checked(spec, settings).settings

    def _streaming(self, name: str, wanted: Sequence[Kind]) -> ProviderSpec | SourceSpec:
        spec = self.builder.find_source(name)
        if spec.capabilities.kinds.isdisjoint(wanted):
            what = " or ".join(f"{kind}s" for kind in wanted)
            raise CapabilityNotSupported(f"{name} has no {what}: {describe(spec.capabilities)}", source=name)
        return spec

    def _checked(self, spec: ProviderSpec | SourceSpec, settings: Mapping[str, Any] | None) -> Chosen:
        own = self.provider or DEFAULT_PROVIDER
        given = self.provider_settings if settings is None and spec.name == own else settings or {}
        return Chosen(spec, validated(spec, given, where=f"source {spec.name}"))

    def _name(self, provider: str | None) -> str:
        if provider is None and self.provider is None:
            _log.warning("no provider is configured: the data are synthetic; name one, such as provider='ibkr'")
        return provider or self.provider or DEFAULT_PROVIDER


def describe(capabilities: Capabilities) -> str:
    """Return what a source has, in words."""
    parts = [
        f"streams {', '.join(sorted(capabilities.kinds))}" if capabilities.kinds else "",
        f"has a history of {', '.join(sorted(capabilities.history))}" if capabilities.history else "",
        "has option chains" if capabilities.option_chain else "",
        "resolves symbols" if capabilities.resolve else "",
    ]
    return f"it {', '.join(part for part in parts if part) or 'has nothing'}"
