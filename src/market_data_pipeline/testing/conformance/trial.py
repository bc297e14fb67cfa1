"""What an installed plugin is tried with: settings, symbols, and which bars of the past."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import BarsRequest
from market_data_pipeline.errors import ConfigurationError, PluginError, nearest
from market_data_pipeline.model import Kind
from market_data_pipeline.plugins import AnySpec, ProviderSpec, SourceSpec
from market_data_pipeline.settings import PipelineRuntimeSettings
from market_data_pipeline.settings.layers import merged
from market_data_pipeline.settings.loading import provider_values
from market_data_pipeline.settings.secrets import is_hidden, is_reference
from market_data_pipeline.settings.shape import field_of, names
from market_data_pipeline.settings.variables import Variable, parsed
from market_data_pipeline.settings.yaml_document import parse_yaml
from market_data_pipeline.testing.conformance.plugin import CANARY
from market_data_pipeline.testing.simloop import START_NS

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
OPEN_NS = 15 * HOUR_NS
"""A time of the day, UTC, at which the exchanges of Europe and America trade, in summer and winter."""


@attrs.frozen(kw_only=True)
class Trial:
    """What a plugin is tried with."""

    settings: Mapping[str, str] = attrs.field(factory=dict)
    """Text by key: for each provider, source, operator and sink of the plugin that has such a setting."""
    config: PipelineRuntimeSettings = attrs.field(factory=PipelineRuntimeSettings)
    """Has the settings of providers and sources that lie under those."""
    symbols: tuple[str, ...] = ()
    kinds: Collection[Kind] | None = None
    rows: int = 500
    limit: float = 10.0
    virtual: bool = False
    start: int | None = None
    """Bars of the past are asked for from here on, int ns; left out: an hour of the last weekday."""
    end: int | None = None
    """To there, int ns; left out: for an hour."""
    interval_ns: int = MINUTE_NS

    def bars(self, symbol: str) -> BarsRequest:
        """Return which bars of the past are asked for."""
        if (start := self.start) is None:
            now = START_NS if self.virtual else SystemClock().time_ns()
            start = _last_weekday(now) + OPEN_NS if self.end is None else self.end - HOUR_NS
        end = start + HOUR_NS if self.end is None else self.end
        return BarsRequest(symbol=symbol, start=start, end=end, interval_ns=self.interval_ns)


def _last_weekday(now: int) -> int:
    """Return the midnight, UTC, of the last day from Monday to Friday that is over."""
    day = now // DAY_NS - 1
    while (day + 3) % 7 > 4:  # noqa: PLR2004 - the first day was a Thursday
        day -= 1
    return day * DAY_NS


def settings_by_spec(specs: Sequence[AnySpec], trial: Trial) -> list[tuple[AnySpec, dict[str, Any]]]:
    """Return each spec with the settings for it, as a person writes them.

    Raises:
        ConfigurationError: None of them has a setting that is given, or a secret is written out.
    """
    models = [(spec, _model(spec)) for spec in specs]
    known = {key: [spec for spec, model in models if model and field_of(model, key)] for key in trial.settings}
    for key, having in known.items():
        if not having and specs:
            there = [name for _, model in models if model for name in names(model)]
            raise ConfigurationError(f"the plugin has no setting {key!r}; {nearest(key, there)}", where=f"-s {key}")
    found: list[tuple[AnySpec, dict[str, Any]]] = []
    for spec, model in models:
        own = {key: _value(model, key, text) for key, text in trial.settings.items() if spec in known[key]}
        under = provider_values(trial.config, spec.name) if isinstance(spec, ProviderSpec | SourceSpec) else {}
        found.append((spec, merged(under, own)))
    return found


def _model(spec: AnySpec) -> Any:
    try:
        return spec.resolve_settings()
    except PluginError:
        return None  # a check of PluginConformance says so


def _value(model: Any, key: str, text: str) -> Any:
    if not is_hidden(model, (key,)):
        return Variable(text)
    try:
        value = parse_yaml(text, name="").value
    except ConfigurationError:
        value = None
    if not is_reference(value):
        raise ConfigurationError(
            f"{key!r} is a secret, and command lines are kept and seen: write '{key}={{env: NAME}}' or "
            f"'{key}={{file: PATH}}', or take it from a file by --settings",
            where=f"-s {key}",
        )
    return value


def without_secrets(model: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as a person writes them, with a text for each secret that must not be seen again."""
    found: dict[str, Any] = _concealed(model, parsed(model, values), ())
    return found


def _concealed(model: Any, values: Any, at: tuple[str, ...]) -> Any:
    if isinstance(values, Mapping) and not is_reference(values):
        return {key: _concealed(model, value, (*at, key)) for key, value in values.items()}
    return CANARY if values is not None and is_hidden(model, at) else values
