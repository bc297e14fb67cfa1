"""The runtime: installed plugins, shared providers, streams and pipelines behind one object."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs

from market_data_pipeline.channel import Policy
from market_data_pipeline.contracts import MarketDataProvider
from market_data_pipeline.model import Bar, Basis, History, Instrument, OptionChain, Quote, TimeLike, Trade
from market_data_pipeline.orchestration import requests
from market_data_pipeline.orchestration.registry import SourceRegistry
from market_data_pipeline.orchestration.sources import RuntimeBuilder, SourceChooser
from market_data_pipeline.orchestration.status import PluginStatus, RuntimeStatus
from market_data_pipeline.orchestration.stream import TickStream
from market_data_pipeline.orchestration.streams import Asked, Streams
from market_data_pipeline.pipeline.spec import PipelineSpec
from market_data_pipeline.pipeline.streaming import PipelineResult
from market_data_pipeline.plugins import PluginHost, ProviderSpec
from market_data_pipeline.runners.service import PipelineService, ServiceConfig
from market_data_pipeline.runners.supervisor import Supervisor
from market_data_pipeline.sink.store import data_directory
from market_data_pipeline.source.pool import ProviderPool
from market_data_pipeline.source.services import ServiceFactory

T = TypeVar("T")


class PipelineRuntime:
    """Composes streams, requests and pipelines out of installed plugins.

    `async with PipelineRuntime() as runtime`, or `initialize()` and `shutdown()`, from any task of one event loop. Its
    work lives in a supervisor task of its own, so that neither cancellation nor a crash of one user reaches another.
    Whatever uses one provider with one identity shares its connection.

    Attributes:
        data_dir: Where the sink `store` writes.
        registry: Sources of this program, by name.
        service: Its pipelines.
    """

    def __init__(
        self,
        *,
        provider: str | None = None,
        provider_settings: Mapping[str, Any] | None = None,
        data_dir: str | Path | None = None,
        max_concurrent_pipelines: int = 10,
        host: PluginHost | None = None,
        services: ServiceFactory | None = None,
    ) -> None:
        """Prepare a runtime; nothing is loaded yet.

        Args:
            provider: Where data come from unless a call says otherwise. None is "synthetic", with a warning each time.
            provider_settings: Its settings.
            data_dir: Where the sink `store` writes; left out: MDP__DATA_DIR, or the user's data directory.
            max_concurrent_pipelines: One pipeline more is refused.
            host: The plugins to look in; those of this environment unless given.
            services: Clock and randomness for everything in it.
        """
        self.data_dir: Path = data_directory() if data_dir is None else Path(data_dir)
        self.registry: SourceRegistry = SourceRegistry(host)
        self._pool = ProviderPool(services or ServiceFactory())
        self._builder = RuntimeBuilder(host, self._pool, self.registry, self.data_dir)
        self._chooser = SourceChooser(self._builder, provider, dict(provider_settings or {}))
        self._supervisor = Supervisor("runtime", "async with PipelineRuntime() as runtime", self._stop_all)
        config = ServiceConfig(max_concurrent_pipelines=max_concurrent_pipelines)
        self.service: PipelineService = PipelineService(config, builder=self._builder, supervisor=self._supervisor)
        self._streams = Streams(self._supervisor, self._chooser, self._pool)
        self._since: int | None = None

    # --- life ---------------------------------------------------------------------------------------------------

    async def initialize(self) -> None:
        """Start the supervisor.

        Raises:
            ConfigurationError: It was started before.
        """
        await self._supervisor.start()
        self._since = self._pool.services.clock.time_ns()

    async def shutdown(self) -> None:
        """Stop all pipelines gracefully, close all streams and providers, and return when that is done. Idempotent.

        A cancel scope around it does not cut that short; a task that is cancelled meanwhile ends everything at once.

        Raises:
            CancelledError: The task was cancelled.
        """
        await self._supervisor.stop()

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    def _stop_all(self) -> None:
        self.service.stop_all()
        self._streams.stop_all()

    # --- streams ------------------------------------------------------------------------------------------------

    def stream_quotes(
        self,
        symbols: Sequence[str],
        source_priority: str | Sequence[str] | None = None,
        *,
        provider: str | None = None,
        settings: Mapping[str, Any] | None = None,
        on_full: Policy = "drop_oldest",
    ) -> TickStream[Quote]:
        """Open a stream of quotes.

        Args:
            symbols: What to ask for, as the rows shall carry them. None: all that the source has, where it can tell.
            source_priority: Names of providers or sources: the first that is installed and has quotes is used. Nothing
                switches between them later: failover comes with the router.
            provider: One name instead; the runtime's own unless given.
            settings: Its settings; those given to the runtime if it is the runtime's own provider.
            on_full: What happens when the reader is slower than the market: `drop_oldest`, `drop_newest`, `conflate`
                (the latest of each symbol stays), `fail`, or `block` for a source that can pause.

        Returns:
            A handle to iterate, best inside its own `async with`.

        Raises:
            ConfigurationError: The runtime is not running, or a setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It has no quotes.
        """
        asked = Asked(symbols=symbols, priority=source_priority, provider=provider, settings=settings, on_full=on_full)
        return self._streams.open_ticks(asked, Quote)

    def stream_trades(
        self,
        symbols: Sequence[str],
        source_priority: str | Sequence[str] | None = None,
        *,
        provider: str | None = None,
        settings: Mapping[str, Any] | None = None,
        on_full: Policy = "drop_oldest",
    ) -> TickStream[Trade]:
        """Open a stream of trades; all as in `stream_quotes`."""
        asked = Asked(symbols=symbols, priority=source_priority, provider=provider, settings=settings, on_full=on_full)
        return self._streams.open_ticks(asked, Trade)

    def stream_bars(
        self,
        symbols: Sequence[str],
        interval: str | timedelta | int = "1s",
        source_priority: str | Sequence[str] | None = None,
        *,
        basis: Basis = "trade",
        from_bars: bool = False,
        allowed_lateness_sec: float = 2.0,
        provider: str | None = None,
        settings: Mapping[str, Any] | None = None,
        on_full: Policy = "drop_oldest",
    ) -> TickStream[Bar]:
        """Open a stream of bars, made here from trades or quotes as in a pipeline; else all as in `stream_quotes`.

        A bar comes when a row says that its time is over: in a quiet market that is the next row of any symbol.

        Args:
            symbols: What to ask for.
            interval: How long a bar is, one second or longer.
            source_priority: Names of providers or sources; the first that is installed and has such rows is used.
            basis: What prices are: `trade` (of trades), or `bid`, `ask`, `mid` (of quotes).
            from_bars: Make them from the provider's own bars, which are no longer than the interval, even if it has
                ticks.
            allowed_lateness_sec: How far a row may be behind the newest of its source.
            provider: One name instead.
            settings: Its settings.
            on_full: What happens to bars when the reader is slow.

        Returns:
            A handle to iterate.

        Raises:
            ConfigurationError: The runtime is not running, or a setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It has neither such ticks nor bars.
        """
        asked = Asked(symbols=symbols, priority=source_priority, provider=provider, settings=settings, on_full=on_full)
        return self._streams.open_bars(
            asked,
            interval=interval,
            basis=basis,
            from_bars=from_bars,
            allowed_lateness_sec=allowed_lateness_sec,
        )

    # --- requests -----------------------------------------------------------------------------------------------

    async def get_historical_bars(
        self,
        symbol: str,
        *,
        start: TimeLike,
        end: TimeLike,
        interval: str | timedelta | int = "1m",
        basis: Basis = "trade",
        provider: str | None = None,
        settings: Mapping[str, Any] | None = None,
        limit: int = requests.MAX_BARS,
    ) -> History:
        """Return the bars of one symbol that start in [start, end), as the provider has them.

        Args:
            symbol: As the bars shall carry it.
            start: An aware datetime, ISO 8601 text with an offset, or int ns.
            end: The same; a bar that starts there is not in it.
            interval: How long a bar is.
            basis: What prices are.
            provider: An installed provider; the runtime's own unless given.
            settings: Its settings.
            limit: More bars than this are an error.

        Returns:
            The bars, and the gaps that the provider knows of.

        Raises:
            ConfigurationError: The runtime is not running, or an argument or setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It has no history of bars.
            SourceError: It fails, does not answer for 30 s, or has more bars than the limit.
            SourceBug: What it answers is not what was asked for.
        """
        request = requests.bars_request(symbol, start=start, end=end, interval=interval, basis=basis)
        spec, checked = self._chooser.for_request(provider, settings, what="historical bars", needs="history")
        return await self._ask(spec, checked, partial(requests.fetch_history, request=request, limit=limit))

    async def get_options_chain(
        self,
        underlying: str,
        *,
        expiries: tuple[str | date, str | date] | None = None,
        strikes: tuple[float | str, float | str] | None = None,
        provider: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> OptionChain:
        """Return the listed options on one underlying, as they are now.

        Args:
            underlying: As the records shall carry it.
            expiries: First and last, both included, as YYYY-MM-DD or dates; all unless given.
            strikes: Least and greatest, both included, in units of the quote currency; all unless given.
            provider: An installed provider; the runtime's own unless given.
            settings: Its settings.

        Returns:
            The chain, ordered by expiry, strike and right.

        Raises:
            ConfigurationError: The runtime is not running, or an argument or setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It has no option chains.
            SourceError: It fails, or does not answer within 30 s.
            SourceBug: What it answers is not what was asked for.
        """
        request = requests.chain_request(underlying, expiries=expiries, strikes=strikes)
        spec, checked = self._chooser.for_request(provider, settings, what="option chains", needs="option_chain")
        return await self._ask(spec, checked, partial(requests.fetch_chain, request=request))

    async def resolve(
        self, symbol: str, *, provider: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> tuple[Instrument, ...]:
        """Return what a symbol may stand for: nothing is unknown, one is clear, several are ambiguous.

        Raises:
            ConfigurationError: The runtime is not running, or an argument or setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It does not resolve symbols.
            SourceError: It fails, or does not answer within 5 s.
            SourceBug: What it answers is not what was asked for.
        """
        spec, checked = self._chooser.for_request(provider, settings, what="instruments", needs="resolve")
        return await self._ask(spec, checked, partial(requests.fetch_instruments, symbol=symbol))

    async def _ask(
        self, spec: ProviderSpec, settings: Any, fetch: Callable[[str, MarketDataProvider], Coroutine[Any, Any, T]]
    ) -> T:
        async def ask() -> T:
            async with self._pool.using(spec, settings) as provider:
                return await fetch(spec.name, provider)

        return await self._supervisor.call(ask)

    # --- pipelines ----------------------------------------------------------------------------------------------

    async def run_pipeline(self, spec: PipelineSpec) -> str:
        """Start a pipeline.

        Returns:
            Its key, "tenant:pipeline".

        Raises:
            ConfigurationError: The spec is wrong, a pipeline of that key is running, or too many are.
            PluginError: A named plugin is not installed or does not load.
        """
        return await self.service.create_pipeline(spec)

    async def list_pipelines(self) -> list[str]:
        """Return the keys of the pipelines that are running."""
        return await self.service.list_pipelines()

    async def stop_pipeline(self, key: str) -> PipelineResult:
        """Stop a pipeline gracefully, and wait until all that it accepted is committed.

        Returns:
            How it ended.

        Raises:
            ConfigurationError: There is no such pipeline.
            MarketDataError: The pipeline failed.
        """
        return await self.service.stop_pipeline(key)

    async def wait_pipeline(self, key: str) -> PipelineResult:
        """Wait until a pipeline has ended.

        Returns:
            How it ended.

        Raises:
            ConfigurationError: There is no such pipeline, or the runtime was closed at once.
            MarketDataError: The pipeline failed.
        """
        return await self.service.wait_pipeline(key)

    # --- status -------------------------------------------------------------------------------------------------

    def look(self) -> RuntimeStatus:
        """Return how everything is now, without asking any source how far it is."""
        return RuntimeStatus(
            state=self._supervisor.state,
            since=self._since,
            plugins=tuple(map(PluginStatus.of, self._builder.host.records())),
            providers=self._pool.look(),
            streams=self._streams.look(),
            pipelines=self.service.look(),
            errors=self.service.errors(),
        )

    async def status(self) -> RuntimeStatus:
        """Return how everything is now."""
        pipelines = {key: await self.service.get_pipeline_status(key) for key in self.service.look()}
        return attrs.evolve(self.look(), pipelines=pipelines)
