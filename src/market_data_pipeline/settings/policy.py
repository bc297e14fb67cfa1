"""Which plugins may be used, according to settings and to the variables that are no settings."""

from __future__ import annotations

import os
from collections.abc import Mapping

from market_data_pipeline.plugins import PluginPolicy
from market_data_pipeline.settings.tree import PluginSettings


def plugin_policy(settings: PluginSettings, environ: Mapping[str, str] | None = None) -> PluginPolicy:
    """Return the policy of some settings; the variables `MDP_PLUGINS` and so on go before them.

    Raises:
        ConfigurationError: A variable is wrong.
    """
    return PluginPolicy.from_environ(os.environ if environ is None else environ, PluginPolicy(**dict(settings)))
