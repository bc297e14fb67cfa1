"""Rows that come twice or late."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
from numpy.typing import NDArray

from market_data_pipeline.model import Flag, Kind
from market_data_synthetic.faults import Late
from market_data_synthetic.market import Arrays
from market_data_synthetic.pieces import Piece


def stamped(piece: Piece) -> Piece:
    """Return a piece whose rows have their ordinals and flags, so that they can be moved."""
    size = len(piece)
    ordinal = np.arange(piece.ordinal, piece.ordinal + size)
    return attrs.evolve(piece, arrays=piece.arrays | {"ordinal": ordinal, "flags": np.zeros(size, np.int32)})


def repeated(piece: Piece, every: int) -> Piece:
    """Return a piece in which one of so many rows comes twice."""
    twice = _hits(piece, every)
    return piece.take(np.repeat(np.arange(len(piece)), 1 + twice))


class LateRows:
    """Rows that are held back. They come behind the first rows of their kind from when they are due or later."""

    def __init__(self, late: Late, symbols: int, *, is_flagged: bool) -> None:
        self._late = late
        self._is_flagged = is_flagged
        self._held: dict[Kind, Piece] = {}
        self._newest = np.zeros(symbols, np.int64)
        """The greatest `ts_event` of each symbol so far."""

    def take(self, piece: Piece) -> Piece:
        """Return the rows that are in time, and those that were held and are due."""
        late = _hits(piece, self._late.every)
        in_time, held = piece.take(np.flatnonzero(~late)), piece.take(np.flatnonzero(late))
        np.maximum.at(self._newest, in_time.arrays["symbol"], in_time.arrays["ts_event"])
        if piece.kind in self._held:
            held = _joined(piece, self._held[piece.kind].arrays, held.arrays)
        due = int(np.searchsorted(held.arrays["ts_event"], piece.until - self._late.delay))
        self._held[piece.kind] = held.take(slice(due, None))
        return _joined(piece, in_time.arrays, self._flagged(held.take(slice(due))).arrays)

    def finish(self, symbols: int) -> Iterator[Piece]:
        """Yield all that is held, and begin anew with so many symbols."""
        yield from (self._flagged(piece) for piece in self._held.values() if len(piece))
        self._held.clear()
        self._newest = np.zeros(symbols, np.int64)

    def _flagged(self, piece: Piece) -> Piece:
        arrays = piece.arrays
        is_behind = self._newest[arrays["symbol"]] > arrays["ts_event"]
        flags = np.where(is_behind & self._is_flagged, np.int32(Flag.OUT_OF_ORDER), np.int32(0))
        return attrs.evolve(piece, arrays=arrays | {"flags": flags})


def _hits(piece: Piece, every: int) -> NDArray[np.bool_]:
    """Return which rows are the last of so many, counted from the start of the run."""
    hits: NDArray[np.bool_] = piece.arrays["ordinal"] % every == every - 1
    return hits


def _joined(piece: Piece, one: Arrays, other: Arrays) -> Piece:
    return attrs.evolve(piece, arrays={name: np.concatenate([one[name], other[name]]) for name in one})
