"""A registry of source classes by name, as programs of the earlier system use it."""

from __future__ import annotations

from functools import cached_property
from pkgutil import resolve_name
from typing import Any

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import ConfigurationError, PluginNotFound, nearest
from market_data_pipeline.plugins import GROUP, PluginHost, ProviderSpec, SourceSpec
from market_data_pipeline.plugins.guard import describe
from market_data_pipeline.settings import load_settings, plugin_policy


class SourceRegistry:
    """Finds the class behind a name: one that was registered here, a dotted path, or an installed plugin's.

    A new one starts empty. Pipelines and streams need none: they find installed plugins by themselves.
    """

    def __init__(self, host: PluginHost | None = None) -> None:
        self._given_host = host
        self._classes: dict[str, Any] = {}
        self._installed: set[str] = set()

    @cached_property
    def _host(self) -> PluginHost:
        """The plugins that names are looked up in; those that the settings allow unless others were given."""
        return self._given_host or PluginHost(policy=plugin_policy(load_settings().settings.plugins))

    def register(self, name: str, cls: Any) -> None:
        """Keep a class, or any factory, under a name; another one of that name is replaced.

        Streams and pipelines of a runtime find what is in its registry, ahead of what is installed, if it says with
        `capabilities` what it has. It is made as `cls(request, settings, services)` or, if it has
        `get_historical_bars`, as the provider `cls(settings, services)`; it has no settings.
        """
        self._classes[name] = cls
        self._installed.discard(name)

    def load(self, name: str) -> Any:
        """Return the class of a name or of `"package.module:Class"`.

        Raises:
            PluginNotFound: There is none, which is an `ImportError`.
            PluginError: The plugin of that name does not load.
        """
        if name in self._classes:
            return self._classes[name]
        if ":" in name:
            try:
                return resolve_name(name)
            except Exception as error:
                raise PluginNotFound(f"{name!r} cannot be imported: {describe(error)}", plugin=name) from error
        try:
            return self._find(name).resolve_factory()
        except PluginNotFound as error:
            raise PluginNotFound(f"{error}; registered here: {nearest(name, self._classes)}", plugin=name) from None

    def spec(self, name: str) -> ProviderSpec | SourceSpec | None:
        """Return what streams and pipelines need of a class that is registered here; None where there is none.

        Raises:
            ConfigurationError: It does not say what it has.
        """
        cls = self._classes.get(name)
        if cls is None or name in self._installed:
            return None
        capabilities = getattr(cls, "capabilities", None)
        if not isinstance(capabilities, Capabilities):
            raise ConfigurationError(
                f"the class registered as {name!r} does not say what it has: give it capabilities = Capabilities(...)"
            )
        made = ProviderSpec if hasattr(cls, "get_historical_bars") else SourceSpec
        return made(name=name, factory=cls, capabilities=capabilities, plugin="registry")

    def list_sources(self) -> list[str]:
        """Return the names that are registered here, sorted."""
        return sorted(self._classes)

    def discover_entrypoints(self, group: str = GROUP) -> list[str]:
        """Register what the installed plugins offer; one that does not load is left out and logged.

        Returns:
            The names that were registered.

        Raises:
            PluginNotFound: Plugins are looked for in another group than ours.
        """
        if group != GROUP:
            raise PluginNotFound(f"plugins are in the group {GROUP!r}, not in {group!r}")
        self._host.load_all()
        specs = {spec.name: spec for spec in (*self._host.providers(), *self._host.sources())}
        for name, spec in specs.items():
            if name not in self._classes:
                self._classes[name] = spec.resolve_factory()
                self._installed.add(name)
        return sorted(specs)

    def _find(self, name: str) -> ProviderSpec | SourceSpec:
        """Return the source of that name, else the provider: a registry is asked for what streams."""
        try:
            return self._host.source(name)
        except PluginNotFound:
            return self._host.provider(name)
