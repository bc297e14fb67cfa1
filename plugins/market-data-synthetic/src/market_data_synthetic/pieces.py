"""The order in which ticks are given out, as pieces that become batches: a pure function of where a run starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import Kind
from market_data_synthetic.market import Arrays, Market

MAX_ROWS = 8_192
ENDLESS = 2**63


@attrs.frozen
class Place:
    """How far a run is: all before `slot`, and so many ticks of each kind from it on."""

    slot: int
    ordinal: int = 0
    """Of the next row; so many rows were given."""
    quotes: int = 0
    trades: int = 0

    def position(self, epoch: int) -> str:
        """Return it as a `Batch.position`."""
        return ":".join(map(str, (epoch, *attrs.astuple(self))))

    @classmethod
    def parse(cls, position: str, epoch: int) -> Place:
        """Return the place of a position.

        Raises:
            InvalidRequest: It is no position of the run with that epoch.
        """
        words = position.split(":")
        if len(words) != 5 or not all(word.isdecimal() for word in words) or int(words[0]) != epoch:  # noqa: PLR2004 - as above
            raise InvalidRequest(
                f"{position!r} is no position of this synthetic run: a run goes on with the same symbols, kinds, seed, "
                "rate, trades_per_quote, tick_size and start",
                source="synthetic",
            )
        return cls(*map(int, words[1:]))


@attrs.frozen
class Piece:
    """Ticks of one kind that are given out together; an empty one only says how far time went."""

    until: int
    """All of them are earlier than this, int ns."""
    kind: Kind
    ordinal: int
    """Of the first row."""
    arrays: Arrays
    after: Place
    """Where the run is behind it."""

    def __len__(self) -> int:
        return len(self.arrays["ts_event"])


def cut(
    market: Market, kinds: Sequence[Kind], place: Place, *, start: int, step: int | None, count: int | None
) -> Iterator[Piece]:
    """Yield the ticks from a place on, none before `start`, until `count` rows are given since the start of the run.

    Each piece lies between two multiples of `step`, if there is one, and pieces between the same two come in the order
    of `kinds`: no tick comes behind one that is later by a step or more.
    """
    limit = ENDLESS if count is None else count
    slots = max(1, MAX_ROWS // market.symbols)
    while place.ordinal < limit:
        ticks = market.ticks(place.slot, slots, frozenset(kinds))
        end = (place.slot + slots) * market.period
        times = {kind: ticks[kind]["ts_event"] for kind in kinds}
        given = {"quote": place.quotes, "trade": place.trades}
        for kind in kinds:
            given[kind] = max(given[kind], int(np.searchsorted(times[kind], start)))
        until = 0
        while ahead := [int(times[kind][given[kind]]) for kind in kinds if given[kind] < len(times[kind])]:
            until = end if step is None else min(end, (min(ahead) // step + 1) * step)
            for kind in kinds:
                stop = int(np.searchsorted(times[kind], until))
                while given[kind] < stop:
                    first = given[kind]
                    last = min(stop, first + MAX_ROWS, first + limit - place.ordinal)
                    given[kind] = last
                    ordinal = place.ordinal
                    place = Place(place.slot, ordinal + last - first, given["quote"], given["trade"])
                    arrays = {name: array[first:last] for name, array in ticks[kind].items()}
                    yield Piece(until, kind, ordinal, arrays, place)
                    if place.ordinal == limit:
                        return
        place = Place(place.slot + slots, place.ordinal)
        if not until:
            yield Piece(end, kinds[0], place.ordinal, {"ts_event": np.empty(0, np.int64)}, place)
