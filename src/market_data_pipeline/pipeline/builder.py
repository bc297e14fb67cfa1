"""From a spec to a pipeline: every stage is found by its name among the installed plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from market_data_pipeline.contracts import Operator, StreamRequest
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Kind
from market_data_pipeline.pipeline.components import make
from market_data_pipeline.pipeline.context import PipelineContext
from market_data_pipeline.pipeline.defaults import Defaults
from market_data_pipeline.pipeline.overrides import PipelineOverrides
from market_data_pipeline.pipeline.spec import Component, PipelineSpec
from market_data_pipeline.pipeline.streaming import PipelineResult, StreamingPipeline
from market_data_pipeline.plugins import ComponentKind, PluginHost, ProviderSpec, SourceSpec
from market_data_pipeline.settings.loading import LoadedSettings
from market_data_pipeline.settings.mistakes import explain
from market_data_pipeline.settings.policy import plugin_policy
from market_data_pipeline.settings.tree import PipelineRuntimeSettings
from market_data_pipeline.source.adapter import PluginSource
from market_data_pipeline.source.pool import ProviderPool


class PipelineBuilder:
    """Builds pipelines out of specs. Pipelines of one builder share its providers and its clock."""

    def __init__(
        self,
        config: PipelineRuntimeSettings | LoadedSettings | None = None,
        *,
        host: PluginHost | None = None,
        pool: ProviderPool | None = None,
    ) -> None:
        """Prepare a builder; nothing is loaded yet.

        Args:
            config: What holds where a spec says nothing.
            host: The plugins to look in; those of this environment that the settings allow, unless given.
            pool: The providers to share.
        """
        self.defaults: Defaults = Defaults.of(config)
        self._given_host = host
        self._pool = pool or ProviderPool()

    @cached_property
    def host(self) -> PluginHost:
        """The plugins that names are looked up in; those of this environment unless others were given."""
        return self._given_host or PluginHost(policy=plugin_policy(self.defaults.config.plugins))

    def build(self, spec: PipelineSpec) -> StreamingPipeline:
        """Return a pipeline that is ready to run.

        Raises:
            ConfigurationError: A name or a setting is unknown, or the stages do not fit together.
            PluginError: A named plugin does not load.
        """
        operators = [self._component("operator", one) for one in spec.operator]
        source = self._source(spec, operators)
        return StreamingPipeline(
            source=source,
            operator=operators,
            batcher=self._component("batcher", spec.batcher),
            sink=[self._component("sink", one) for one in spec.sink],
            ctx=PipelineContext(
                tenant_id=spec.tenant_id,
                pipeline_id=spec.pipeline_id,
                duration_sec=spec.duration_sec,
                count=spec.count,
                allowed_lateness_ns=round(self.defaults.value(spec, "allowed_lateness_sec") * 1e9),
                on_full=self.defaults.value(spec, "on_full"),
                max_rows=self.defaults.value(spec, "queue_rows"),
                max_bytes=self.defaults.config.pipeline.queue_bytes,
                drain_timeout_sec=self.defaults.value(spec, "drain_timeout_sec"),
                commit_sec=self.defaults.config.pipeline.commit_sec,
                clock=self._pool.services.clock,
            ),
        )

    async def build_and_run(self, spec: PipelineSpec) -> PipelineResult:
        """Build a pipeline and run it.

        Returns:
            How it ended.

        Raises:
            MarketDataError: It cannot be built, or it failed.
        """
        return await self.build(spec).run()

    def find_source(self, name: str) -> ProviderSpec | SourceSpec:
        """Return the provider of that name, or else the source; raises what `PluginHost.provider` raises."""
        return self.host.provider_or_source(name)

    def _component(self, kind: ComponentKind, component: Component) -> Any:
        spec = self.host.component(kind, component.name)
        return make(spec, self.defaults.check(kind, spec, component))

    def _source(self, spec: PipelineSpec, operators: list[Operator]) -> PluginSource:
        found = self.find_source(spec.source.name)
        settings = self.defaults.check("source", found, spec.source)
        kinds = self._kinds(spec, found, operators[0] if operators else None)
        request = StreamRequest(symbols=spec.symbols, kinds=kinds)
        return PluginSource(found, settings, request, self._pool)

    @staticmethod
    def _kinds(spec: PipelineSpec, source: ProviderSpec | SourceSpec, first: Operator | None) -> frozenset[Kind]:
        offered = source.capabilities.kinds
        if unknown := (spec.kinds or frozenset()) - offered:
            raise ConfigurationError(f"{source.name} gives {_list(offered)} rows, not {_list(unknown)}", where="kinds")
        wanted = spec.kinds or offered
        if first is None:
            return wanted
        if spec.kinds and (refused := wanted - first.accepts):
            raise ConfigurationError(
                f"operator {spec.operator[0].name} takes {_list(first.accepts)} rows, not {_list(refused)}",
                where="kinds",
            )
        if not (wanted := wanted & first.accepts):
            raise ConfigurationError(
                f"operator {spec.operator[0].name} takes {_list(first.accepts)} rows, and {source.name} gives "
                f"{_list(offered)} rows: choose another operator, or other settings for it",
                where="operator",
            )
        return wanted


def create_pipeline(
    tenant_id: str,
    pipeline_id: str,
    *,
    source: str | Mapping[str, Any],
    symbols: list[str] | tuple[str, ...] | None = None,
    duration_sec: float | None = None,
    operator: Any = "bars",
    sink: Any = "store",
    overrides: PipelineOverrides | Mapping[str, Any] | None = None,
    host: PluginHost | None = None,
) -> StreamingPipeline:
    """Return a pipeline made of installed parts.

    Args:
        tenant_id: On whose behalf it runs.
        pipeline_id: Its name.
        source: The name of a provider or source, or its name and settings.
        symbols: What to ask for; None is all that the source has.
        duration_sec: Stop after this many seconds.
        operator: The name of an operator, its name and settings, or a list of them.
        sink: The same for the sink; "store" is the Parquet dataset in the data directory.
        overrides: Settings under their names in earlier programs.
        host: The plugins to look in; those of this environment unless given.

    Raises:
        ConfigurationError: An argument is wrong.
        PluginError: A named plugin does not load.
    """
    spec = parse_spec(
        {
            "tenant_id": tenant_id,
            "pipeline_id": pipeline_id,
            "source": source,
            "symbols": symbols or (),
            "duration_sec": duration_sec,
            "operator": operator,
            "sink": sink,
            "overrides": overrides,
        }
    )
    return PipelineBuilder(host=host).build(spec)


def parse_spec(values: Mapping[str, Any], *, where: str | Path = "") -> PipelineSpec:
    """Return the spec that plain data describes.

    Raises:
        ConfigurationError: It does not describe one; says which key, and what would be right.
    """
    from pydantic import ValidationError

    try:
        return PipelineSpec.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(explain(error, PipelineSpec, values), where=str(where)) from None


def _list(kinds: Iterable[str]) -> str:
    return " or ".join(sorted(kinds)) or "no"
