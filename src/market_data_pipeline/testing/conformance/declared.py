"""The suites for what an installed plugin declares, made from its specs and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest

from market_data_pipeline.contracts import ChainRequest, Services, StreamRequest
from market_data_pipeline.errors import ConfigurationError, PluginError
from market_data_pipeline.pipeline.components import make
from market_data_pipeline.plugins import AnySpec, ComponentSpec, PluginRecord, ProviderSpec, SourceSpec
from market_data_pipeline.settings import validated
from market_data_pipeline.settings.shape import field_of
from market_data_pipeline.testing.conformance.history import HistoricalConformance
from market_data_pipeline.testing.conformance.operator import OperatorConformance
from market_data_pipeline.testing.conformance.options import OptionsConformance
from market_data_pipeline.testing.conformance.plugin import PluginConformance
from market_data_pipeline.testing.conformance.sink import SinkConformance
from market_data_pipeline.testing.conformance.source import TickSourceConformance
from market_data_pipeline.testing.conformance.trial import Trial, settings_by_spec, without_secrets

T = TypeVar("T")
Suite: TypeAlias = tuple[str, type]
"""Of what it is, such as "provider acme", and a class that pytest can collect."""


def declared_suites(record: PluginRecord, specs: Sequence[AnySpec], trial: Trial) -> list[Suite]:
    """Return the suites that apply to a plugin.

    Args:
        record: What became of it when it was loaded.
        specs: What it offers.
        trial: What it is tried with.

    Raises:
        ConfigurationError: A setting is unknown, wrong or missing, or symbols are.
    """
    values = settings_by_spec(specs, trial)
    suites: list[Suite] = [
        (f"plugin {record.name}", _installed(record, {(spec.kind, spec.name): given for spec, given in values}))
    ]
    for spec, given in values:
        try:
            suites += [(f"{spec.kind} {spec.name}", suite) for suite in _suites(spec, given, trial)]
        except PluginError:
            continue  # what it names cannot be imported: a check of PluginConformance says so
    return suites


def _suites(spec: AnySpec, values: Mapping[str, Any], trial: Trial) -> Iterator[type]:
    if isinstance(spec, ProviderSpec | SourceSpec):
        yield from _of_data(spec, validated(spec, values, where=f"{spec.kind} {spec.name}"), trial)
    elif isinstance(spec, ComponentSpec):
        yield from _of_component(spec, values, trial)


def _of_data(spec: ProviderSpec | SourceSpec, settings: Any, trial: Trial) -> Iterator[type]:
    """Yield the suites of a provider or source; what a provider does not declare, it has to refuse."""
    factory = spec.resolve_factory()
    symbols = _symbols(spec, trial)
    shared = {"capabilities": spec.capabilities, "limit": trial.limit, "virtual": trial.virtual}
    streamed = {**shared, "symbols": symbols, "kinds": trial.kinds, "rows": trial.rows}
    if isinstance(spec, SourceSpec):

        def make_source(request: StreamRequest, services: Services) -> Any:
            return factory(request, settings, services)

        yield _suite(TickSourceConformance, streamed, make_source=make_source)
        return

    def make_provider(services: Services) -> Any:
        return factory(settings, services)

    if spec.capabilities.kinds:
        yield _suite(TickSourceConformance, streamed, make_provider=make_provider)
    for suite, request in (
        (HistoricalConformance, trial.bars(symbols[0])),
        (OptionsConformance, ChainRequest(underlying=symbols[0])),
    ):
        yield _suite(suite, {**shared, "request": request}, make_provider=make_provider)


def _of_component(spec: ComponentSpec, values: Mapping[str, Any], trial: Trial) -> Iterator[type]:
    """Yield the suite of an operator or a sink, whose `path` is in a folder of each check unless it is given."""
    model = spec.resolve_settings()

    def settings(folder: Path) -> Any:
        own = {"path": str(folder / "rows")} if spec.kind == "sink" and model and field_of(model, "path") else {}
        return validated(spec, {**own, **values}, where=f"{spec.kind} {spec.name}")

    def made(folder: Path) -> Any:
        return make(spec, settings(folder))

    settings(Path())  # what is wrong with them is said before any check
    spec.resolve_factory()
    if spec.kind == "operator":
        yield _suite(OperatorConformance, {}, make_operator=lambda: made(Path()))
    elif spec.kind == "sink":
        yield _suite(SinkConformance, {"limit": trial.limit}, make_sink=made)


def _symbols(spec: ProviderSpec | SourceSpec, trial: Trial) -> tuple[str, ...]:
    declared = spec.capabilities
    if not trial.symbols and (declared.kinds or declared.history or declared.option_chain):
        raise ConfigurationError(
            f"name symbols that the {spec.kind} {spec.name} has, two if it can: --symbols AAPL,MSFT", where="--symbols"
        )
    return trial.symbols or ("AAPL",)


def _installed(record: PluginRecord, values: Mapping[tuple[str, str], Mapping[str, Any]]) -> type:
    class Installed(PluginConformance):
        distribution = record.distribution
        plugin = record.name

        def settings_of(self, spec: AnySpec) -> Mapping[str, Any]:
            return without_secrets(spec.resolve_settings(), values.get((spec.kind, spec.name), {}))

    return Installed


def _suite(base: type, attributes: Mapping[str, Any], **fixtures: Callable[..., Any]) -> type:
    """Return a suite as an author would write it."""
    return type(base.__name__, (base,), {**attributes, **{name: _fixture(name, fixtures[name]) for name in fixtures}})


def _fixture(name: str, value: T) -> Any:
    @pytest.fixture(name=name)
    def fixture(_self: object) -> T:
        return value

    return fixture
