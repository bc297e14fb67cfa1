"""Recorded bars as the answer to a request for history."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import attrs

from market_data_pipeline.contracts import BarsRequest, Services, StreamRequest
from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import Batch, Row, StreamItem, format_interval
from market_data_replay.formats.contract import BEGINNING
from market_data_replay.settings import ReplaySettings, Resolution
from market_data_replay.source import ReplaySource

_RESOLUTIONS: dict[int, Resolution] = {1_000_000_000: "second", 60_000_000_000: "minute"}


@attrs.define
class History:
    """The bars of one request, picked out of a replay."""

    request: BarsRequest
    _last: int = BEGINNING
    _others: set[tuple[int, str]] = attrs.field(factory=set)

    async def bars(self, settings: ReplaySettings, services: Services) -> AsyncGenerator[StreamItem, None]:
        """Yield the batches, ordered by start.

        Raises:
            InvalidRequest: There are bars of other intervals or bases only, or the files are not in order.
            UnknownSymbol: The files do not have the symbol.
        """
        request = self.request
        start = request.start if settings.start is None else max(request.start, settings.start)
        end = request.end if settings.end is None else min(request.end, settings.end)
        if start >= end:
            return
        resolution = settings.resolution or _RESOLUTIONS.get(request.interval_ns)
        changes = {"start": start, "end": end, "speed": "max", "loop": 1, "resolution": resolution}
        settings = settings.model_copy(update=changes)
        source = ReplaySource(StreamRequest(symbols=(request.symbol,), kinds=frozenset({"bar"})), settings, services)
        await source.start()
        async with aclosing(source.batches()) as items:
            async for item in items:
                if isinstance(item, Batch) and (batch := self._pick(item)) is not None:
                    yield batch
        if self._last == BEGINNING and self._others:
            raise InvalidRequest(f"{settings.path} has no bars of {self._asked()}: {self._there()}", source="replay")

    def _pick(self, batch: Batch[Row]) -> Batch[Row] | None:
        """Return the bars of the asked interval and basis, by start, or None."""
        import numpy as np

        columns, request = batch.columns, self.request
        lengths, bases = columns["end"] - columns["start"], columns.words["basis"]
        right = (lengths == request.interval_ns) & np.array([word == request.basis for word in bases])[columns["basis"]]
        if not right.all():
            others = zip(lengths[~right].tolist(), columns["basis"][~right].tolist(), strict=True)
            self._others.update((length, str(bases[code])) for length, code in set(others))
        places = np.flatnonzero(right)
        if not len(places):
            return None
        starts = columns["start"][places]
        places, starts = places[np.argsort(starts, kind="stable")], np.sort(starts)
        if starts[0] < self._last:
            raise InvalidRequest(
                f"bars of {request.symbol} go back in time from one part of the files to the next: sort them by start",
                source="replay",
            )
        self._last = int(starts[-1])
        return batch.select(places)

    def _asked(self) -> str:
        return f"{format_interval(self.request.interval_ns)} and basis {self.request.basis} for {self.request.symbol}"

    def _there(self) -> str:
        there = (f"{format_interval(length)} of {basis}" for length, basis in sorted(self._others))
        return f"between start and end it has {', '.join(there)}"
