"""Which plugins may be used, according to settings and to the variables that are no settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import attrs

from market_data_pipeline.plugins import PluginPolicy
from market_data_pipeline.settings.tree import PluginSettings


def plugin_policy(settings: PluginSettings, environ: Mapping[str, str] | None = None) -> PluginPolicy:
    """Return the policy of some settings; the variables `MDP_PLUGINS` and so on go before them.

    Raises:
        ConfigurationError: A variable is wrong.
    """
    said = PluginPolicy.from_environ(os.environ if environ is None else environ)
    values: dict[str, Any] = {
        "only": said.only or settings.only,
        "disabled": said.disabled | set(settings.disabled),
        "strict": said.strict or settings.strict,
        "prefer": settings.prefer,
        "required": settings.required,
    }
    known = {field.name for field in attrs.fields(PluginPolicy)}
    return attrs.evolve(said, **{name: value for name, value in values.items() if name in known})
