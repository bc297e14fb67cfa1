"""The streams of one runtime: each is a feed in its task group, and a handle in the hands of a reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakSet

import anyio.abc
import attrs

from market_data_pipeline.channel import Policy
from market_data_pipeline.contracts import StreamRequest
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Bar, Kind, Row
from market_data_pipeline.operator import SecondBarAggregator
from market_data_pipeline.orchestration.feed import BarFeed, Feed
from market_data_pipeline.orchestration.providers import Provider, Providers
from market_data_pipeline.orchestration.stream import StreamStatus, TickStream, symbol_list
from market_data_pipeline.pipeline.context import PipelineContext
from market_data_pipeline.plugins.lifecycle import Tell
from market_data_pipeline.source.adapter import PluginSource
from market_data_pipeline.source.pool import ProviderPool

MAX_LATENESS_SEC = 86_400

R = TypeVar("R", bound=Row)


@attrs.frozen
class Choice:
    """Which rows a stream has, and where they come from, as a caller says."""

    symbols: Sequence[str]
    priority: str | Sequence[str] | None
    provider: str | None
    settings: Mapping[str, Any] | None


class Streams:
    """Opens streams, and knows those that are open."""

    def __init__(
        self,
        providers: Providers,
        pool: ProviderPool,
        *,
        tasks: Callable[[], anyio.abc.TaskGroup],
        tell: Tell,
    ) -> None:
        """Prepare it; nothing is open yet.

        Args:
            providers: Where sources come from.
            pool: What they share.
            tasks: Returns the task group that feeds run in; raises `ConfigurationError` where nothing runs.
            tell: Hears when a stream starts, has ended or failed.
        """
        self._providers = providers
        self._pool = pool
        self._tasks = tasks
        self._tell = tell
        self._feeds: set[Feed] = set()
        self._open: WeakSet[TickStream[Any]] = WeakSet()

    def ticks(self, given: Choice, row_type: type[R], on_full: Policy) -> TickStream[R]:
        """Open a stream of quotes or trades; raises what `PipelineRuntime.stream_quotes` raises."""
        source = self._source(given, [row_type.kind], on_full)
        return self._start(Feed(source, policy=on_full, clock=self._pool.services.clock), row_type)

    def bars(
        self,
        given: Choice,
        operator: SecondBarAggregator,
        *,
        from_bars: bool,
        allowed_lateness_sec: float | None,
        on_full: Policy,
    ) -> TickStream[Bar]:
        """Open a stream of the bars that an operator makes; raises what `PipelineRuntime.stream_bars` raises."""
        if allowed_lateness_sec is None:
            allowed_lateness_sec = self._providers.config.pipeline.allowed_lateness_sec
        if not 0 <= allowed_lateness_sec <= MAX_LATENESS_SEC:
            raise ConfigurationError(
                f"is from 0 to {MAX_LATENESS_SEC:,} seconds, not {allowed_lateness_sec}", where="allowed_lateness_sec"
            )
        ticks: Kind = "trade" if operator.basis == "trade" else "quote"
        source = self._source(given, ["bar"] if from_bars else [ticks, "bar"], on_full)
        ctx = PipelineContext(
            pipeline_id=f"bars of {source.name}",
            allowed_lateness_ns=round(allowed_lateness_sec * 1e9),
            on_full="block" if on_full == "block" else None,
            clock=self._pool.services.clock,
        )
        return self._start(BarFeed(source, operator, policy=on_full, ctx=ctx), Bar)

    def stop(self) -> None:
        """Close all streams soon."""
        for feed in self._feeds:
            feed.stop()

    def look(self) -> tuple[StreamStatus, ...]:
        """Return how the streams are that are open."""
        return tuple(status for stream in self._open if (status := stream.status).state == "open")

    def _source(self, given: Choice, kinds: Sequence[Kind], on_full: Policy) -> PluginSource:
        """Return a source of the first of the kinds that its provider has."""
        self._tasks()  # not running is the first thing to say
        spec = self._providers.choose(given.priority, given.provider, kinds)
        _check_policy(spec, on_full)
        kind = next(kind for kind in kinds if kind in spec.capabilities.kinds)
        request = StreamRequest(symbols=symbol_list(given.symbols), kinds=frozenset({kind}))
        return PluginSource(spec, self._providers.settings(spec, given.settings), request, self._pool)

    def _start(self, feed: Feed, row_type: type[R]) -> TickStream[R]:
        self._feeds.add(feed)
        self._tasks().start_soon(self._run, feed)
        self._tell("stream", feed.intake.name, "started", "")
        stream = TickStream(feed, row_type)
        self._open.add(stream)
        return stream

    async def _run(self, feed: Feed) -> None:
        try:
            await feed.run()
        finally:
            self._feeds.discard(feed)
            self._tell("stream", feed.intake.name, "failed" if feed.error else "ended", str(feed.error or ""))


def _check_policy(spec: Provider, on_full: Policy) -> None:
    if on_full == "block" and not spec.capabilities.pausable:
        raise ConfigurationError(
            f"{spec.name} cannot wait for a slow reader: choose drop_oldest, drop_newest, conflate or fail",
            where="on_full",
        )
