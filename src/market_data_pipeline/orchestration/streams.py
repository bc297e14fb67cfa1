"""The open streams of a runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import attrs

from market_data_pipeline.channel import Policy
from market_data_pipeline.contracts import StreamRequest
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Bar, Basis, Kind, Row
from market_data_pipeline.operator.bars import SecondBarAggregator, bar_interval
from market_data_pipeline.orchestration.bar_feed import BarFeed
from market_data_pipeline.orchestration.feed import Feed, StreamStatus, TickFeed
from market_data_pipeline.orchestration.sources import SourceChooser
from market_data_pipeline.orchestration.stream import TickStream, checked_symbols
from market_data_pipeline.runners.supervisor import Supervisor
from market_data_pipeline.source.adapter import PluginSource
from market_data_pipeline.source.pool import ProviderPool

R = TypeVar("R", bound=Row)

MAX_LATENESS_SEC = 86_400.0


@attrs.frozen(kw_only=True)
class Asked:
    """What the caller of a stream said, whatever its kind."""

    symbols: Sequence[str]
    priority: str | Sequence[str] | None
    provider: str | None
    settings: Mapping[str, Any] | None
    on_full: Policy


@attrs.define(eq=False)
class Streams:
    """Opens streams, runs them in the supervisor's care, and knows those that are open."""

    _supervisor: Supervisor
    _chooser: SourceChooser
    _pool: ProviderPool
    _feeds: dict[int, Feed[Any]] = attrs.field(factory=dict, init=False)
    _opened: int = attrs.field(default=0, init=False)

    def open_ticks(self, asked: Asked, row_type: type[R]) -> TickStream[R]:
        """Open a stream of quotes or trades, as they come."""
        source, common = self._prepare(asked, (row_type.kind,))
        return self._open(TickFeed(source, row_type, **common))

    def open_bars(
        self,
        asked: Asked,
        *,
        interval: str | timedelta | int,
        basis: Basis,
        from_bars: bool,
        allowed_lateness_sec: float,
    ) -> TickStream[Bar]:
        """Open a stream of bars that are made here.

        Returns:
            A handle on it.

        Raises:
            ConfigurationError: The interval or the lateness is wrong.
        """
        operator = SecondBarAggregator(bar_interval(interval), basis=basis)
        if not 0 <= allowed_lateness_sec <= MAX_LATENESS_SEC:
            raise ConfigurationError(
                f"is from 0 to {MAX_LATENESS_SEC:g}, not {allowed_lateness_sec}", where="allowed_lateness_sec"
            )
        ticks: Kind = "trade" if basis == "trade" else "quote"
        source, common = self._prepare(asked, ("bar",) if from_bars else (ticks, "bar"))
        return self._open(BarFeed(source, operator, lateness_ns=round(allowed_lateness_sec * 1e9), **common))

    def stop_all(self) -> None:
        """Close every stream, soon."""
        for feed in self._feeds.values():
            feed.stop()

    def look(self) -> tuple[StreamStatus, ...]:
        """Return how the open streams are."""
        return tuple(feed.look() for feed in self._feeds.values())

    def _prepare(self, asked: Asked, kinds: Sequence[Kind]) -> tuple[PluginSource, dict[str, Any]]:
        """Prepare a source of the first of these kinds that it has.

        Returns:
            The source, and what every feed needs beside.
        """
        self._supervisor.check()
        symbols = checked_symbols(asked.symbols)
        chosen = self._chooser.for_stream(asked.priority, asked.provider, asked.settings, kinds)
        kind = next(kind for kind in kinds if kind in chosen.spec.capabilities.kinds)
        request = StreamRequest(symbols=symbols, kinds=frozenset({kind}))
        self._opened += 1
        return PluginSource(chosen.spec, chosen.settings, request, self._pool), {
            "policy": asked.on_full,
            "clock": self._pool.services.clock,
            "symbols": symbols,
            "number": self._opened,
        }

    def _open(self, feed: Feed[R]) -> TickStream[R]:
        self._feeds[feed.number] = feed
        self._supervisor.start_soon(self._run, feed)
        return TickStream(feed)

    async def _run(self, feed: Feed[Any]) -> None:
        try:
            await feed.run()
        finally:
            del self._feeds[feed.number]
