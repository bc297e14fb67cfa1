"""The order in which ticks are given out, as pieces that become batches: a pure function of where a run starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np

from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import Kind
from market_data_synthetic.market import Arrays, Market
from market_data_synthetic.noise import Ints

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

    @property
    def time(self) -> int:
        """That of its first tick, int ns."""
        return int(self.arrays["ts_event"][0])

    def take(self, rows: Ints | slice) -> Piece:
        """Return some of its rows, as a piece with the same end."""
        return attrs.evolve(self, arrays={name: array[rows] for name, array in self.arrays.items()})


def cut(
    market: Market,
    kinds: Sequence[Kind],
    place: Place,
    *,
    start: int,
    edge: Callable[[int], int] | None,
    count: int | None,
) -> Iterator[Piece]:
    """Yield the ticks from a place on, none before `start`, until `count` rows are given since the start of the run.

    `edge` returns the first edge after a time. Each piece lies between two edges, if there are any, and pieces between
    the same two come in the order of `kinds`: no tick comes behind one from beyond a later edge.
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
            until = end if edge is None else min(end, edge(min(ahead)))
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
