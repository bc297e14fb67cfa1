"""One consumer's stream: it gives out the ticks of a run when they are due."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import anyio
import attrs

from market_data_pipeline.contracts import Capabilities, Services, SourceStatus, StreamRequest
from market_data_pipeline.errors import InvalidRequest, SourceBusy, SourceClosed
from market_data_pipeline.model import Batch, Kind, Row, StreamItem
from market_data_synthetic.batches import to_batch
from market_data_synthetic.capabilities import CAPABILITIES
from market_data_synthetic.identity import origin, run_epoch
from market_data_synthetic.market import Market
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
    `ts_recv` is `ts_event`. A run from now on in real time has an epoch of its own, and `ts_recv` is the clock's time.
    """

    def __init__(self, request: StreamRequest, settings: SyntheticSettings, services: Services) -> None:
        self.symbols: Sequence[str] = tuple(dict.fromkeys(request.symbols))
        self._kinds: Sequence[Kind] = sorted(request.kinds)
        self._settings = settings
        self._services = services
        self._is_live = settings.first is None
        self.capabilities: Capabilities = attrs.evolve(
            CAPABILITIES, resumable=not self._is_live, unbounded=self._is_live and settings.count is None
        )
        epoch = services.epoch() if self._is_live else run_epoch(settings, self._kinds, self.symbols)
        self._origin = origin(epoch)
        self._after: Place | None = None
        if request.after is not None:
            if self._is_live:
                raise InvalidRequest("a run from now on cannot be resumed: set start", source="synthetic")
            self._after = Place.parse(request.after, epoch)
        self._given = 0 if self._after is None else self._after.ordinal
        self._is_open = False
        self._is_closed = False
        self._nap: anyio.CancelScope | None = None

    async def start(self) -> None:
        """Do nothing: the time of a run from now on begins with its first row."""

    def batches(self) -> AsyncGenerator[StreamItem, None]:
        """Return the stream of batches: in the order of time within a kind, and to half a second between two kinds.

        Returns:
            A generator that ends when `count` rows are given.

        Raises:
            SourceClosed: After `close()`.
            SourceBusy: It is iterated already.
        """
        if self._is_closed:
            raise SourceClosed("this synthetic source is closed: ask the provider for a new one", source="synthetic")
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
        if self._nap is not None:
            self._nap.cancel()

    async def _stream(self) -> AsyncGenerator[StreamItem, None]:
        settings, clock = self._settings, self._services.clock
        market = Market(self.symbols, settings)
        start = clock.time_ns() if settings.first is None else settings.first
        place = self._after or Place(start // market.period)
        began, reached = clock.monotonic_ns(), 0
        anchor = start if self._after is None else None
        for piece in cut(market, self._kinds, place, start=start, step=self._step(), count=settings.count):
            if piece.until > reached and not self._is_closed:
                anchor = piece.until if anchor is None else anchor
                passed = 0 if settings.speed == "max" else round((piece.until - anchor) / settings.speed)
                with anyio.CancelScope() as self._nap:
                    await clock.sleep_until(began + passed)
                reached = piece.until
            if self._is_closed:
                return
            if len(piece):
                self._given = piece.after.ordinal
                yield self._batch(piece)

    def _step(self) -> int | None:
        """Return the time, int ns of the run, that is given out together; None if all that is there may be."""
        if self._is_live:
            return POLL_NS
        if len(self._kinds) > 1:
            return STEP_NS
        return None if self._settings.speed == "max" else max(1, round(POLL_NS * self._settings.speed))

    def _batch(self, piece: Piece) -> Batch[Row]:
        return to_batch(
            piece.kind,
            piece.arrays,
            self.symbols,
            self._origin,
            ordinal=piece.ordinal,
            ts_recv=self._services.clock.time_ns() if self._is_live else None,
            position=None if self._is_live else piece.after.position(self._origin.epoch),
        )
