"""One consumer's stream: it gives out the ticks of a run when they are due."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence

import anyio
import attrs
import numpy as np

from market_data_pipeline.contracts import Capabilities, Services, SourceStatus, StreamRequest
from market_data_pipeline.errors import InvalidRequest, SourceBusy, SourceClosed
from market_data_pipeline.model import Batch, Connected, ControlEvent, Kind, Origin, Row, StreamItem, parse_interval
from market_data_synthetic.batches import to_batch
from market_data_synthetic.capabilities import CAPABILITIES
from market_data_synthetic.delivery import Delivery
from market_data_synthetic.failures import Failures
from market_data_synthetic.identity import connection_epoch, origin, run_epoch
from market_data_synthetic.market import Market
from market_data_synthetic.outages import edges
from market_data_synthetic.pace import Pace
from market_data_synthetic.pieces import Piece, Place, cut
from market_data_synthetic.settings import SyntheticSettings

POLL_NS = 5_000_000
"""What is due is given out this often."""
STEP_NS = 500_000_000
"""Quotes and trades of a run that can be repeated take turns after this much of its own time, whatever its speed: a
fraction of the usual allowed lateness of 2 s, and long enough for batches that are worth the way."""


class SyntheticSource:
    """Ticks of some symbols, from the run's start or a position on.

    A run that starts at a given time is a pure function of settings and request, its epoch and ordinals included; there
    `ts_recv` is `ts_event`. A run from now on in real time has an epoch of its own, and `ts_recv` is the clock's time;
    its symbols can change.
    """

    def __init__(
        self, request: StreamRequest, settings: SyntheticSettings, services: Services, failures: Failures
    ) -> None:
        self.symbols: Sequence[str] = tuple(dict.fromkeys(request.symbols))
        self._kinds: Sequence[Kind] = sorted(request.kinds)
        self._settings = settings
        self._services = services
        self._failures = failures
        self._is_live = settings.first is None
        self.capabilities: Capabilities = attrs.evolve(
            CAPABILITIES,
            resumable=not (self._is_live or settings.late),
            unbounded=self._is_live and settings.count is None,
        )
        self._epoch = services.epoch() if self._is_live else run_epoch(settings, self._kinds, self.symbols)
        self._origin = origin(self._epoch)
        self._after: Place | None = None
        if request.after is not None:
            if not self.capabilities.resumable:
                raise InvalidRequest(
                    "a run from now on or with fault_late cannot be resumed: set start, and no fault_late",
                    source="synthetic",
                )
            self._after = Place.parse(request.after, self._epoch)
        self._given = 0 if self._after is None else self._after.ordinal
        self._is_open = False
        self._is_closed = False
        self._nap: anyio.CancelScope | None = None

    async def start(self) -> None:
        """Do nothing but what the settings have go wrong: the time of a run from now on begins with its first row.

        Raises:
            ConnectionLost: As `fault_failed_starts` has it.
            AuthenticationFailed: The same, where `fault_start_error` says so.
        """
        if self._settings.fault_slow_start is not None:
            await self._pause(parse_interval(self._settings.fault_slow_start))
        self._failures.count_start()

    async def set_symbols(self, symbols: Sequence[str]) -> None:
        """Serve these symbols from now on: no row of another one follows, and those that stay lose none.

        Raises:
            InvalidRequest: There is no symbol, or the run can be repeated, which one with other symbols cannot be.
            SourceClosed: After `close()`.
        """
        self._check_open()
        if not symbols:
            raise InvalidRequest(
                "a synthetic stream has at least one symbol: close it to have none", source="synthetic"
            )
        if not self._is_live:
            raise InvalidRequest(
                "only a synthetic run in real time from now on can change its symbols: ask the provider for another "
                "stream, or leave out start and speed",
                source="synthetic",
            )
        wanted = tuple(dict.fromkeys(symbols))
        if wanted != self.symbols:
            self.symbols = wanted
            self._wake()

    def batches(self) -> AsyncGenerator[StreamItem, None]:
        """Return the stream of batches: in the order of time within a kind, and to half a second between two kinds.

        Returns:
            A generator that ends when `count` rows are given.

        Raises:
            SourceClosed: After `close()`.
            SourceBusy: It is iterated already.
        """
        self._check_open()
        if self._is_open:
            raise SourceBusy(
                "this synthetic source is iterated already: ask the provider for another", source="synthetic"
            )
        self._is_open = True
        return self._stream()

    async def status(self) -> SourceStatus:
        """Say whether it is open, how many rows it gave, and which part of `count` that is."""
        count = self._settings.count
        progress = None if count is None else min(1.0, self._given / count)
        return SourceStatus(self._is_open and not self._is_closed, f"{self._given} rows", progress)

    async def close(self) -> None:
        """End the stream, also while it waits. Idempotent."""
        self._is_closed = True
        self._wake()

    async def _stream(self) -> AsyncGenerator[StreamItem, None]:
        settings, clock = self._settings, self._services.clock
        start = clock.time_ns() if settings.first is None else settings.first
        place = self._after or Place(start // settings.period)
        pace = Pace(clock, settings.speed, start if self._after is None else None)
        delivery = self._delivery(start)
        served, reached = self.symbols, start
        pieces = self._cut(place, start)
        while (piece := next(pieces, None)) is not None:
            if piece.until > reached:
                await self._sleep(pace.due(piece.until))
                if served is not self.symbols:
                    for item in self._batches(delivery.release(len(self.symbols)), served):
                        yield item
                    # All that is due was given, of the symbols until now; of a backlog, all before this piece.
                    start = max(reached, min(pace.now(), piece.until - 1) // POLL_NS * POLL_NS)
                    served, pieces = self.symbols, self._cut(Place(start // settings.period, self._given), start)
                    continue
                reached = piece.until
            if len(piece) and not self._is_closed:
                await self._pause(delivery.pause(piece))
                self._given = piece.after.ordinal
                now = clock.time_ns() if self._is_live else piece.time
                for item in self._batches(delivery.take(piece, now), served):
                    yield item
            if self._is_closed:
                return
        for item in self._batches(delivery.finish(clock.time_ns() if self._is_live else reached), served):
            yield item

    def _delivery(self, start: int) -> Delivery:
        began = start if self._after is None else None
        return Delivery.of(self._settings, len(self.symbols), self._connect, began)

    def _connect(self, number: int) -> Origin:
        """Return the origin of the rows that come through a connection."""
        return origin(self._services.epoch() if self._is_live else connection_epoch(self._epoch, number))

    def _cut(self, place: Place, start: int) -> Iterator[Piece]:
        settings = self._settings
        edge = edges(self._step(), settings.windows.values())
        market = Market(self.symbols, settings)
        return cut(market, self._kinds, place, start=start, edge=edge, count=settings.count)

    def _step(self) -> int | None:
        """Return the time, int ns of the run, that is given out together; None if all that is there may be."""
        if self._is_live:
            return POLL_NS
        if len(self._kinds) > 1 or self._settings.late:
            return STEP_NS
        return None if self._settings.speed == "max" else max(1, round(POLL_NS * self._settings.speed))

    def _batches(self, items: Iterator[Piece | ControlEvent], served: Sequence[str]) -> Iterator[StreamItem]:
        """Yield pieces as batches until the source is closed, without rows of symbols that are no more wanted."""
        for item in items:
            if self._is_closed:
                return
            if isinstance(item, Connected):
                self._origin = item.origin
            if not isinstance(item, Piece):
                yield item
            elif wanted := self._wanted(item, served):
                yield self._batch(wanted, served)

    def _wanted(self, piece: Piece, served: Sequence[str]) -> Piece:
        if served is self.symbols:
            return piece
        stays = np.array([symbol in self.symbols for symbol in served])
        return piece.take(np.flatnonzero(stays[piece.arrays["symbol"]]))

    def _batch(self, piece: Piece, symbols: Sequence[str]) -> Batch[Row]:
        return to_batch(
            piece.kind,
            piece.arrays,
            symbols,
            self._origin,
            ordinal=piece.ordinal,
            ts_recv=self._services.clock.time_ns() if self._is_live else None,
            position=piece.after.position(self._epoch) if self.capabilities.resumable else None,
        )

    async def _sleep(self, until: int) -> None:
        """Sleep until then, monotonic ns, or until woken."""
        if not self._is_closed:
            with anyio.CancelScope() as self._nap:
                await self._services.clock.sleep_until(until)

    async def _pause(self, duration: int) -> None:
        """Sleep for so long unless closed, ns."""
        clock = self._services.clock
        until = clock.monotonic_ns() + duration
        while not self._is_closed and clock.monotonic_ns() < until:
            await self._sleep(until)

    def _wake(self) -> None:
        if self._nap is not None:
            self._nap.cancel()

    def _check_open(self) -> None:
        if self._is_closed:
            raise SourceClosed("this synthetic source is closed: ask the provider for a new one", source="synthetic")
