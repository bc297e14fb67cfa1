"""Which provider answers a call, and with which settings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from market_data_pipeline.errors import CapabilityNotSupported, ConfigurationError, PluginNotFound
from market_data_pipeline.model import Kind
from market_data_pipeline.plugins import ProviderSpec, SourceSpec
from market_data_pipeline.settings import PipelineRuntimeSettings, validated
from market_data_pipeline.settings.layers import merged
from market_data_pipeline.settings.loading import provider_values

DEFAULT_PROVIDER = "synthetic"

Provider: TypeAlias = ProviderSpec | SourceSpec

_log = logging.getLogger("market_data_pipeline.orchestration")


@attrs.frozen
class Providers:
    """Chooses among the providers and sources that a runtime knows, and has their settings."""

    config: PipelineRuntimeSettings
    find: Callable[[str], Provider]
    """Returns the one of a name; raises `PluginError`."""

    def choose(self, priority: str | Sequence[str] | None, provider: str | None, kinds: Sequence[Kind]) -> Provider:
        """Return the first of several providers that is installed and has one of the kinds.

        Raises:
            ConfigurationError: None is named, or in two ways.
            PluginError: None is installed, or one does not load.
            CapabilityNotSupported: None of those that are installed has such rows.
        """
        if provider is not None and priority is not None:
            raise ConfigurationError("name the source once: as provider, or in source_priority", where="provider")
        names = [self._name(provider)] if priority is None else [priority] if isinstance(priority, str) else priority
        errors: list[PluginNotFound | CapabilityNotSupported] = []
        for name in names:
            try:
                return _able(self.find(name), kinds)
            except (PluginNotFound, CapabilityNotSupported) as error:
                errors.append(error)
        raise errors[0] if errors else ConfigurationError("name at least one provider", where="source_priority")

    def get(self, name: str | None) -> Provider:
        """Return the provider of a name, or the runtime's own.

        Raises:
            PluginError: It is not installed or does not load.
        """
        return self.find(self._name(name))

    def settings(self, spec: Provider, given: Mapping[str, Any] | None) -> Any:
        """Return the settings of a provider, checked: those that are given over those that the runtime has for it.

        Raises:
            ConfigurationError: One is wrong.
        """
        values = merged(provider_values(self.config, spec.name), given or {})
        return validated(spec, values, where=f"source {spec.name}")

    def _name(self, given: str | None) -> str:
        if name := given or self.config.provider:
            return name
        _log.warning("no provider is configured: data is synthetic; name one, such as provider='ibkr'")
        return DEFAULT_PROVIDER


def own_provider(
    config: PipelineRuntimeSettings, provider: str | None, settings: Mapping[str, Any] | None
) -> PipelineRuntimeSettings:
    """Return settings in which this is the own provider, with these settings over those that they have for it."""
    if provider is not None:
        config = config.model_copy(update={"provider": provider})
    if settings is not None:
        name = config.provider or DEFAULT_PROVIDER
        own = merged(provider_values(config, name), settings)
        config = config.model_copy(update={"providers": {**config.providers, name: own}})
    return config


def _able(spec: Provider, kinds: Sequence[Kind]) -> Provider:
    """Return a provider if it streams one of the kinds.

    Raises:
        CapabilityNotSupported: It does not.
    """
    has = spec.capabilities.kinds
    if has.isdisjoint(kinds):
        raise CapabilityNotSupported(
            f"{spec.name} has no {kinds[0]}s: it streams {', '.join(sorted(has)) or 'nothing'}", source=spec.name
        )
    return spec
