"""The policy: which installed plugins may be used. Read before discovery; it is no setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import attrs

from market_data_pipeline.errors import ConfigurationError

__all__ = ["PluginPolicy", "canonical"]

_SWITCH = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


def canonical(name: str) -> str:
    """Return a distribution's name in the form in which two can be compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(words: Iterable[str]) -> frozenset[str]:
    return frozenset(canonical(word.strip()) for word in words if word.strip())


def _switch(variable: str, text: str) -> bool:
    try:
        return _SWITCH[text.strip().lower()]
    except KeyError:
        raise ConfigurationError(f"{text!r} must be 1 or 0", where=variable) from None


@attrs.frozen(kw_only=True)
class PluginPolicy:
    """Which plugins may be used. A name is that of an entry point or a distribution."""

    only: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    """`MDP_PLUGINS`: these alone; empty: all."""
    disabled: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    """`MDP_PLUGINS_DISABLED`: never these."""
    no_plugins: bool = False
    """`MDP_NO_PLUGINS=1` or `--no-plugins`: none at all; built-in components remain."""
    strict: bool = False
    """`MDP_STRICT_PLUGINS=1`: one that cannot be used stops the start, whether it was asked for or not."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> PluginPolicy:
        """Read the four variables.

        Returns:
            The policy they describe.

        Raises:
            ConfigurationError: A switch is neither 1 nor 0.
        """
        return cls(
            only=environ.get("MDP_PLUGINS", "").split(","),
            disabled=environ.get("MDP_PLUGINS_DISABLED", "").split(","),
            no_plugins=_switch("MDP_NO_PLUGINS", environ.get("MDP_NO_PLUGINS", "")),
            strict=_switch("MDP_STRICT_PLUGINS", environ.get("MDP_STRICT_PLUGINS", "")),
        )

    def refusal(self, name: str, distribution: str) -> str:
        """Return why the plugin may not be used and how to change that; nothing if it may."""
        names = {canonical(name), canonical(distribution)}
        if self.no_plugins:
            return "all plugins are off; unset MDP_NO_PLUGINS, or leave --no-plugins away"
        if names & self.disabled:
            return "MDP_PLUGINS_DISABLED names it; take it out there"
        if self.only and not names & self.only:
            return f"MDP_PLUGINS allows {', '.join(sorted(self.only))} alone; add it there"
        return ""
