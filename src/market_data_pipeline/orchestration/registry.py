"""Sources by name: those that a program registers, and those that are installed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import ConfigurationError, PluginLoadError, PluginNotFound
from market_data_pipeline.plugins import GROUP, PluginHost, PluginPolicy, ProviderSpec, SourceSpec


class SourceRegistry:
    """Names for source and provider classes. A new one is empty; `load` also finds what is installed."""

    def __init__(self, host: PluginHost | None = None) -> None:
        """Make an empty registry.

        Args:
            host: The plugins to look in; those of this environment unless given.
        """
        self._host = host
        self._classes: dict[str, Callable[..., Any]] = {}

    def register(self, name: str, cls: Callable[..., Any]) -> None:
        """Give a class a name; a name that is taken is given anew.

        Args:
            name: How streams and pipelines of a runtime call it.
            cls: Makes a source, `cls(request, settings, services)`, or a provider, `cls(settings, services)`, which
                has `get_historical_bars`. Its attribute `capabilities` says what it has.

        Raises:
            ConfigurationError: It is no class and no function.
        """
        if not callable(cls):
            raise ConfigurationError(f"{cls!r} cannot be called: register a class, or a function that makes a source")
        self._classes[name] = cls

    def load(self, name: str) -> Callable[..., Any]:
        """Return the class of that name: registered here, at "package.module:Class", or installed.

        Of an installed name that is both, it is the source's class, else the provider's.

        Raises:
            PluginNotFound: There is none; this is an `ImportError`.
            PluginLoadError: The plugin is installed and cannot be loaded.
        """
        if name in self._classes:
            return self._classes[name]
        if ":" in name:
            return _resolve(name)
        try:
            return self._plugins.source(name).resolve_factory()
        except PluginNotFound:
            return self._plugins.provider(name).resolve_factory()

    def list_sources(self) -> list[str]:
        """Return the names that are registered here, sorted."""
        return sorted(self._classes)

    def discover_entrypoints(self, group: str = GROUP) -> list[str]:
        """Register the sources and providers of all installed plugins that load; a broken one is a warning in the log.

        Args:
            group: The entry-point group, of which there is one.

        Returns:
            The names that were found, sorted.

        Raises:
            ConfigurationError: Another group.
        """
        if group != GROUP:
            raise ConfigurationError(f"plugins register in the entry-point group {GROUP!r}, not {group!r}")
        self._plugins.load_all()
        found = {spec.name for spec in (*self._plugins.providers(), *self._plugins.sources())}
        for name in sorted(found - self._classes.keys()):
            self._classes[name] = self.load(name)
        return sorted(found)

    def spec(self, name: str) -> ProviderSpec | SourceSpec | None:
        """Return the spec of a name that is registered here; None where it is not.

        Raises:
            ConfigurationError: The class does not say what it has.
        """
        cls = self._classes.get(name)
        if cls is None:
            return None
        capabilities = getattr(cls, "capabilities", None)
        if not isinstance(capabilities, Capabilities):
            raise ConfigurationError(
                f"the class registered as {name!r} has no `capabilities`: add capabilities = Capabilities(kinds=...)"
            )
        made = ProviderSpec if hasattr(cls, "get_historical_bars") else SourceSpec
        return made(name=name, factory=cls, capabilities=capabilities, plugin="registry")

    @property
    def _plugins(self) -> PluginHost:
        if self._host is None:
            self._host = PluginHost(policy=PluginPolicy.from_environ(os.environ))
        return self._host


def _resolve(path: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise PluginNotFound(
            f"{path!r} is not there: {error}; write it as package.module:Class", plugin=path
        ) from error
    if not callable(found):
        raise PluginLoadError(f"{path!r} is a {type(found).__name__}, no class", plugin=path)
    return found
