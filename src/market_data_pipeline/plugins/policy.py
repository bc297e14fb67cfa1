"""The policy: which installed plugins may be used, must be there, or win a clash. Read before discovery."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import attrs

from market_data_pipeline.errors import ConfigurationError

__all__ = ["PluginPolicy", "canonical"]

_SWITCH = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


def canonical(name: str) -> str:
    """Return a distribution's name in the form in which two can be compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(words: Iterable[str]) -> frozenset[str]:
    return frozenset(canonical(word.strip()) for word in words if word.strip())


def _choices(prefer: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name: canonical(distribution.strip()) for name, distribution in prefer.items()})


def _switch(variable: str, environ: Mapping[str, str], *, otherwise: bool) -> bool:
    text = environ.get(variable, "").strip()
    try:
        return _SWITCH[text.lower()] if text else otherwise
    except KeyError:
        raise ConfigurationError(f"{text!r} must be 1 or 0", where=variable) from None


@attrs.frozen(kw_only=True)
class PluginPolicy:
    """Which plugins may be used. A name is that of an entry point or a distribution."""

    only: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    """`MDP_PLUGINS` or the setting `plugins.only`: these alone; empty: all."""
    disabled: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    """`MDP_PLUGINS_DISABLED` and the setting `plugins.disabled`: never these."""
    prefer: Mapping[str, str] = attrs.field(factory=dict, converter=_choices)
    """The setting `plugins.prefer`: a name that several claim, and the distribution that gets it."""
    required: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    """The setting `plugins.required`: those without which nothing starts."""
    no_plugins: bool = False
    """`MDP_NO_PLUGINS=1` or `--no-plugins`: none at all; built-in components remain."""
    strict: bool = False
    """`MDP_STRICT_PLUGINS=1` or the setting `plugins.strict`: any that cannot be used stops the start."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], settings: PluginPolicy | None = None) -> PluginPolicy:
        """Read the four variables, over the policy of the settings, where there are any.

        A variable that is set and not blank wins over its setting. What either disables is disabled.

        Returns:
            The policy they describe.

        Raises:
            ConfigurationError: A switch is neither 1 nor 0.
        """
        below = settings or cls()
        return attrs.evolve(
            below,
            only=_names(environ.get("MDP_PLUGINS", "").split(",")) or below.only,
            disabled=below.disabled | _names(environ.get("MDP_PLUGINS_DISABLED", "").split(",")),
            no_plugins=_switch("MDP_NO_PLUGINS", environ, otherwise=below.no_plugins),
            strict=_switch("MDP_STRICT_PLUGINS", environ, otherwise=below.strict),
        )

    def refusal(self, name: str, distribution: str) -> tuple[str, str] | None:
        """Return why the plugin may not be used and how to change that; nothing if it may."""
        names = {canonical(name), canonical(distribution)}
        if self.no_plugins:
            return "all plugins are off", "unset MDP_NO_PLUGINS, or leave --no-plugins away"
        if names & self.disabled:
            return "MDP_PLUGINS_DISABLED or the setting plugins.disabled names it", "take it out there"
        if self.only and not names & self.only:
            allowed = ", ".join(sorted(self.only))
            return f"MDP_PLUGINS or the setting plugins.only allows {allowed} alone", "add it there"
        return None
