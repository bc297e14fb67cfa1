"""The runtime: installed plugins, shared providers, streams, questions and pipelines behind one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import attrs

from market_data_pipeline.channel import Policy
from market_data_pipeline.model import Bar, Basis, History, Instrument, OptionChain, Quote, TimeLike, Trade
from market_data_pipeline.operator import SecondBarAggregator
from market_data_pipeline.orchestration.board import Board
from market_data_pipeline.orchestration.builder import RuntimeBuilder
from market_data_pipeline.orchestration.coordination import coordinator_of
from market_data_pipeline.orchestration.coordinator import RateCoordinator
from market_data_pipeline.orchestration.providers import Providers, own_provider
from market_data_pipeline.orchestration.queries import Queries
from market_data_pipeline.orchestration.registry import SourceRegistry
from market_data_pipeline.orchestration.requests import Expiries, Strikes, bars_request, chain_request
from market_data_pipeline.orchestration.status import RuntimeStatus
from market_data_pipeline.orchestration.stream import TickStream
from market_data_pipeline.orchestration.streams import Choice, Streams
from market_data_pipeline.pipeline.spec import PipelineSpec
from market_data_pipeline.pipeline.streaming import PipelineResult
from market_data_pipeline.plugins import HookEvents, PluginHost
from market_data_pipeline.plugins.lifecycle import LifecycleState, Subject
from market_data_pipeline.runners import PipelineService, Supervisor
from market_data_pipeline.runners.configuration import Settings, settings_of
from market_data_pipeline.settings import PipelineRuntimeSettings, plugin_policy
from market_data_pipeline.source.pool import ProviderPool
from market_data_pipeline.source.services import ServiceFactory


class PipelineRuntime:
    """Composes pipelines and streams out of installed plugins.

    `async with PipelineRuntime() as runtime`, or `initialize()` and `shutdown()`, from any task of one event loop. Its
    work lives in a supervisor task of its own, so that neither cancellation nor a crash of one user reaches another.

    Attributes:
        settings: What holds unless a call says otherwise.
        data_dir: Where the sink `store` writes.
        registry: Source classes by name, for programs that register their own.
        service: Runs the pipelines.
        coordinator: The accounts at vendors: who waits for what, and which breakers are open.
    """

    def __init__(
        self,
        settings: Settings = None,
        *,
        provider: str | None = None,
        provider_settings: Mapping[str, Any] | None = None,
        host: PluginHost | None = None,
        services: ServiceFactory | None = None,
    ) -> None:
        """Prepare a runtime; nothing is loaded yet.

        Args:
            settings: Settings; a mapping goes before those of environment and settings file, and None is those alone.
            provider: Where streams come from unless they say otherwise; that of the settings unless given. Where
                neither says one it is "synthetic", with a warning each time.
            provider_settings: Its settings, for streams and pipelines, over those that the settings have for it.
            host: The plugins to look in; those of this environment that the settings allow, unless given.
            services: Clock and randomness for everything in it.

        Raises:
            ConfigurationError: A setting is wrong; one line for each mistake, with its place.
        """
        self.settings: PipelineRuntimeSettings = own_provider(settings_of(settings), provider, provider_settings)
        self.data_dir: Path = self.settings.data_directory
        self._host = host or PluginHost(policy=plugin_policy(self.settings.plugins))
        self.registry: SourceRegistry = SourceRegistry(self._host)
        services = services or ServiceFactory()
        self.coordinator: RateCoordinator = coordinator_of(self.settings, clock=services.clock, seed=services.seed)
        self._board = Board(self.coordinator, self.data_dir, clock=services.clock)
        self._pool = ProviderPool(attrs.evolve(services, accounts=self.coordinator), self._tell)
        self._builder = RuntimeBuilder(self.settings, self.registry, host=self._host, pool=self._pool)
        self._providers = Providers(self.settings, self._builder.find_source)
        self._since: int | None = None
        self._events: HookEvents | None = None
        self._supervisor = Supervisor(
            "PipelineRuntime", closing=self._close, ended=self._ended, beside=self._look_after
        )
        self._streams = Streams(self._providers, self._pool, tasks=lambda: self._supervisor.tasks, tell=self._tell)
        self.service: PipelineService = PipelineService(
            self.settings, builder=self._builder, supervisor=self._supervisor, tell=self._tell
        )

    # --- life ---------------------------------------------------------------------------------------------------

    async def initialize(self) -> None:
        """Start the supervisor.

        Raises:
            ConfigurationError: It was started before.
            PluginLoadError: A plugin that the settings require cannot be used.
        """
        if self._events is None:
            self._events = HookEvents(self._host, self._pool.services.clock)
        self._host.check_required()
        await self._board.open()
        await self._supervisor.start()
        self._since = self._pool.services.clock.time_ns()
        self._tell("runtime", "runtime", "started")

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

    def _close(self) -> None:
        self._tell("runtime", "runtime", "stopping")
        self.service.stop_all()
        self._streams.stop()

    def _ended(self) -> None:
        self._tell("runtime", "runtime", "ended")
        if self._events is not None:
            self._events.close()
        self._board.end()

    async def _look_after(self) -> None:
        """Tell plugins and operators what happens, until all has ended; then nobody holds anything at a vendor."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._board.run)
                if self._events is not None:
                    await self._events.run()
        finally:
            await self.coordinator.close()

    def _tell(self, subject: Subject, name: str, state: LifecycleState, reason: str = "") -> None:
        if self._events is not None:
            self._events.publish(subject, name, state, reason)

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
            symbols: What to ask for, as the rows shall carry them.
            source_priority: Names of providers: the first that is installed and has such rows is taken.
            provider: An installed provider or source; the runtime's own unless given.
            settings: Its settings, over those that the runtime has for it.
            on_full: What happens when the reader is slower than the market: drop_oldest, drop_newest, conflate (the
                latest of each symbol), fail, or block, for a source that can wait.

        Returns:
            A handle to iterate, best inside its own `async with`.

        Raises:
            ConfigurationError: The runtime is not running, or an argument or a setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It has no quotes.
        """
        return self._streams.ticks(Choice(symbols, source_priority, provider, settings), Quote, on_full)

    def stream_trades(
        self,
        symbols: Sequence[str],
        source_priority: str | Sequence[str] | None = None,
        *,
        provider: str | None = None,
        settings: Mapping[str, Any] | None = None,
        on_full: Policy = "drop_oldest",
    ) -> TickStream[Trade]:
        """Open a stream of trades; arguments, result and errors are those of `stream_quotes`."""
        return self._streams.ticks(Choice(symbols, source_priority, provider, settings), Trade, on_full)

    def stream_bars(
        self,
        symbols: Sequence[str],
        interval: str | timedelta | int = "1s",
        source_priority: str | Sequence[str] | None = None,
        *,
        basis: Basis = "trade",
        from_bars: bool = False,
        allowed_lateness_sec: float | None = None,
        provider: str | None = None,
        settings: Mapping[str, Any] | None = None,
        on_full: Policy = "drop_oldest",
    ) -> TickStream[Bar]:
        """Open a stream of bars, made here of the provider's trades or quotes, or of shorter bars if it has no ticks.

        A bar comes when rows have come that are later than its end by the allowed lateness: a market in which nothing
        happens closes none.

        Args:
            symbols: What to ask for, as the rows shall carry them.
            interval: How long a bar is, "1s" or longer.
            source_priority: Names of providers: the first that is installed and has such rows is taken.
            basis: "trade", or "bid", "ask" or "mid" of quotes.
            from_bars: Make them of the provider's own bars, of that length or shorter, even if it has ticks.
            allowed_lateness_sec: How far a row may be behind the newest one and still count; as the settings say for
                pipelines, unless given.
            provider: An installed provider or source; the runtime's own unless given.
            settings: Its settings, over those that the runtime has for it.
            on_full: What happens when the reader is slower than the bars; see `stream_quotes`.

        Returns:
            A handle to iterate, best inside its own `async with`.

        Raises:
            ConfigurationError: The runtime is not running, or an argument or a setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It has neither such ticks nor bars.
        """
        return self._streams.bars(
            Choice(symbols, source_priority, provider, settings),
            SecondBarAggregator(interval=interval, basis=basis),
            from_bars=from_bars,
            allowed_lateness_sec=allowed_lateness_sec,
            on_full=on_full,
        )

    # --- questions ----------------------------------------------------------------------------------------------

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
        limit: int = 5_000_000,
    ) -> History:
        """Return bars of the past.

        Args:
            symbol: What to ask for, as the rows shall carry it.
            start: Aware datetime, ISO text with an offset, or int ns: no bar that starts before this.
            end: No bar that starts at this or later.
            interval: How long a bar is.
            basis: "trade", or "bid", "ask" or "mid" of quotes.
            provider: An installed provider; the runtime's own unless given.
            settings: Its settings, over those that the runtime has for it.
            limit: So many bars are kept in memory at most.

        Returns:
            The bars, with conversions to Arrow, pandas and Polars.

        Raises:
            ConfigurationError: The runtime is not running, or an argument or a setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It has no history of bars.
            SourceError: It refuses, does not answer, or gave more than `limit`.
        """
        request = bars_request(symbol, start=start, end=end, interval=interval, basis=basis)
        queries = self._ask(provider, settings)
        return await self._supervisor.call(lambda: queries.historical_bars(request, limit=limit))

    async def get_options_chain(
        self,
        underlying: str,
        *,
        expiries: Expiries | None = None,
        strikes: Strikes | None = None,
        provider: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> OptionChain:
        """Return the listed contracts of an underlying, with their markets as of now.

        Args:
            underlying: What to ask for, as the records shall carry it.
            expiries: One expiry, or the first and the last one, as dates or YYYY-MM-DD; None: all.
            strikes: The least and the greatest, in units of the quote currency; None: all.
            provider: An installed provider; the runtime's own unless given.
            settings: Its settings, over those that the runtime has for it.

        Returns:
            The contracts, with conversions to Arrow, pandas and Polars.

        Raises:
            ConfigurationError: The runtime is not running, or an argument or a setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It has no option chains.
            SourceError: It refuses or does not answer.
        """
        request = chain_request(underlying, expiries=expiries, strikes=strikes)
        queries = self._ask(provider, settings)
        return await self._supervisor.call(lambda: queries.option_chain(request))

    async def resolve(
        self, symbol: str, *, provider: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> tuple[Instrument, ...]:
        """Return what a symbol may stand for: nothing is unknown, one is clear, several are ambiguous.

        Raises:
            ConfigurationError: The runtime is not running, or a setting is wrong.
            PluginError: The provider is not installed or does not load.
            CapabilityNotSupported: It cannot tell.
            SourceError: It refuses or does not answer.
        """
        queries = self._ask(provider, settings)
        return await self._supervisor.call(lambda: queries.instruments(symbol))

    def _ask(self, provider: str | None, settings: Mapping[str, Any] | None) -> Queries:
        spec = self._providers.get(provider)
        return Queries(spec, self._providers.settings(spec, settings), self._pool)

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
        """Return how everything is now, without asking sources how far they are."""
        return RuntimeStatus(
            state=self._supervisor.state,
            since=self._since,
            plugins={record.name: record.state for record in self._host.records()},
            providers=self._pool.status(),
            accounts=tuple(account.status() for account in self.coordinator.accounts()),
            streams=self._streams.look(),
            pipelines=self.service.look(),
            errors=self.service.errors(),
        )

    async def status(self) -> RuntimeStatus:
        """Return how everything is now."""
        return attrs.evolve(self.look(), pipelines=await self.service.statuses())
