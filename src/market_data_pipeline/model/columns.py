"""The columns face of a batch, and the way between it and rows. Imported on first use: it needs numpy."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from market_data_pipeline.model.rows import ABSENT, Flag, Origin, Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array = np.ndarray[Any, np.dtype[Any]]

TEXT = frozenset({"symbol", "trade_id", "side", "conditions", "basis"})
"""Columns of int32 codes into `Columns.words`."""

MISSING = {
    "bid_px": Flag.NO_BID,
    "ask_px": Flag.NO_ASK,
    "bid_size": Flag.NO_BID_SIZE,
    "ask_size": Flag.NO_ASK_SIZE,
    "size": Flag.NO_SIZE,
    "vwap": Flag.NO_VWAP,
}
"""Columns whose value is 0 where `flags` has this bit."""

_DTYPES: dict[str, str] = {
    **dict.fromkeys(TEXT, "i4"),
    **dict.fromkeys(("flags", "revision"), "i4"),
    **dict.fromkeys(("bid_size", "ask_size", "size", "volume", "vwap"), "f8"),
    **dict.fromkeys(("is_final", "complete"), "?"),
}

# An attribute named in the code is read in a third of the time of one named by a string.
_READ: dict[str, Callable[[Sequence[Any]], list[Any]]] = {
    "symbol": lambda rows: [row.symbol for row in rows],
    "ts_event": lambda rows: [row.ts_event for row in rows],
    "ts_recv": lambda rows: [row.ts_recv for row in rows],
    "ordinal": lambda rows: [row.ordinal for row in rows],
    "flags": lambda rows: [row.flags for row in rows],
    "bid_px": lambda rows: [row.bid_px for row in rows],
    "ask_px": lambda rows: [row.ask_px for row in rows],
    "bid_size": lambda rows: [row.bid_size for row in rows],
    "ask_size": lambda rows: [row.ask_size for row in rows],
    "px": lambda rows: [row.px for row in rows],
    "size": lambda rows: [row.size for row in rows],
    "trade_id": lambda rows: [row.trade_id for row in rows],
    "side": lambda rows: [row.side for row in rows],
    "conditions": lambda rows: [row.conditions for row in rows],
    "start": lambda rows: [row.start for row in rows],
    "end": lambda rows: [row.end for row in rows],
    "open_px": lambda rows: [row.open_px for row in rows],
    "high_px": lambda rows: [row.high_px for row in rows],
    "low_px": lambda rows: [row.low_px for row in rows],
    "close_px": lambda rows: [row.close_px for row in rows],
    "volume": lambda rows: [row.volume for row in rows],
    "vwap": lambda rows: [row.vwap for row in rows],
    "trades": lambda rows: [row.trades for row in rows],
    "basis": lambda rows: [row.basis for row in rows],
    "revision": lambda rows: [row.revision for row in rows],
    "is_final": lambda rows: [row.is_final for row in rows],
    "complete": lambda rows: [row.complete for row in rows],
}


def dtype(name: str) -> np.dtype[Any]:
    """Return the dtype of the column `name`; prices (1e-9), times (ns) and all that is not listed are int64."""
    return np.dtype(_DTYPES.get(name, "i8"))


class Columns(Mapping[str, "NDArray[Any]"]):
    """Equally long, read-only arrays by field name; text is int32 codes here and words in `words[name]`.

    A word is None where the text is missing. Each stands once, but for those of `trade_id`. Two such objects are equal
    only if they are the same one.

    Attributes:
        words: The texts of each text column.
        nbytes: What the arrays weigh.
    """

    __slots__ = ("_arrays", "_length", "nbytes", "words")

    words: dict[str, tuple[str | None, ...]]
    nbytes: int

    def __init__(self, arrays: Mapping[str, Array], words: Mapping[str, Sequence[str | None]]) -> None:
        """Take over the arrays, which nobody may change from now on; another dtype is cast if that loses nothing.

        A word that stands twice is made one: a symbol with two codes would be two symbols.

        Raises:
            ValueError: An array is not flat, has another length than those before it, or does not fit its dtype; a
                text column has no words, or a code outside of them.
        """
        self._arrays: dict[str, Array] = {}
        self._length = -1
        self.nbytes = 0
        self.words = {name: tuple(texts) for name, texts in words.items()}
        for name, values in arrays.items():
            array = _fit(name, values)
            if self._length not in {-1, len(array)}:
                raise ValueError(f"column {name!r} has {len(array)} rows, those before it {self._length}")
            if name in TEXT:
                if name not in self.words:
                    raise ValueError(f"the text column {name!r} has no words")
                # As unsigned, a negative code is a large one.
                texts = self.words[name]
                if len(array) and array.view("u4").max() >= len(texts):
                    raise ValueError(f"column {name!r} has a code outside of its {len(texts)} words")
                # Nobody groups by trade_id, and its words are about as many as the rows.
                if name != "trade_id" and len(set(texts)) < len(texts):
                    codes, self.words[name] = encode(texts)
                    array = _fit(name, codes[array])
            self._length = len(array)
            self.nbytes += array.nbytes
            self._arrays[name] = array

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __len__(self) -> int:
        """Return the number of rows, not of columns."""
        return max(0, self._length)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def take(self, rows: slice | Sequence[int] | NDArray[Any]) -> Columns:
        """Return the columns of some rows; a slice copies nothing."""
        index = rows if isinstance(rows, slice) else np.asarray(rows, "i8")
        part = Columns({}, self.words)  # what was checked once stays right
        part._arrays = {name: array[index] for name, array in self._arrays.items()}
        for array in part._arrays.values():
            array.flags.writeable = False
            part._length = len(array)
            part.nbytes += array.nbytes
        return part

    def text(self, name: str) -> list[str | None]:
        """Return a text column as words."""
        texts: list[str | None] = np.array(self.words[name], object).take(self._arrays[name]).tolist()
        return texts


def _fit(name: str, values: Array) -> Array:
    """Return a read-only view of the values, cast to the column's dtype if that loses nothing."""
    array, want = np.asarray(values), dtype(name)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} has {array.ndim} dimensions: a column has one")
    if array.dtype != want:
        fits = np.can_cast(array.dtype, want, "same_kind")
        cast = array.astype(want) if fits else array
        if not fits or (cast != array).any():
            raise ValueError(f"column {name!r} is {array.dtype}, which is not {want} without loss")
        array = cast
    array = array.view()
    array.flags.writeable = False
    return array


def encode(texts: Iterable[str | None]) -> tuple[Array, tuple[str | None, ...]]:
    """Return codes and words for texts, words in order of first appearance."""
    codes: defaultdict[str | None, int] = defaultdict(count().__next__)
    array = np.fromiter(map(codes.__getitem__, texts), "i4")
    return array, tuple(codes)


def from_rows(row_type: type[Row], rows: Sequence[Row]) -> Columns:
    """Turn row objects, at least one, into columns.

    Returns:
        The columns; a None became 0 and its `NO_` bit in `flags`, whatever such bits the row had.

    Raises:
        ValueError: A row has another origin than the first, or a value that does not fit, such as a float price.
    """
    origin = rows[0].origin
    for row in rows:
        if row.origin is not origin and row.origin != origin:
            raise ValueError(f"the rows of a batch share one origin: {origin} and {row.origin} need a batch each")
    arrays: dict[str, Array] = {}
    words: dict[str, tuple[str | None, ...]] = {}
    absent = np.zeros(len(rows), "i4")
    for name in row_type.__struct_fields__:
        if name == "origin":
            continue
        values = _READ[name](rows)
        if name in TEXT:
            arrays[name], words[name] = encode(values)
            continue
        try:
            arrays[name] = _pack(name, values)
        except ValueError:
            if name not in MISSING or None not in values:
                raise
            absent |= np.array([value is None for value in values], "i4") * np.int32(MISSING[name])
            arrays[name] = _pack(name, [0 if value is None else value for value in values])
    arrays["flags"] = arrays["flags"] & ~ABSENT | absent
    return Columns(arrays, words)


def _pack(name: str, values: Sequence[Any]) -> Array:
    """Return an array that is read-only for good; struct refuses what numpy would cut off, and is as fast."""
    kind = dtype(name)
    try:
        return np.frombuffer(struct.pack(f"{len(values)}{kind.char}", *values), kind)
    except struct.error as error:
        raise ValueError(f"a row's {name} does not fit {kind}: {error}") from error


def to_rows(row_type: type[Row], columns: Columns, origin: Origin) -> Iterator[Row]:
    """Turn columns into row objects; a value whose `NO_` bit is set becomes None, and the bit goes."""
    flags = columns["flags"]
    some = int(np.bitwise_or.reduce(flags))
    fields: list[Iterable[Any]] = []
    for name in row_type.__struct_fields__:
        if name == "origin":
            fields.append(repeat(origin))
        elif name in TEXT:
            fields.append(columns.text(name))
        elif name == "flags":
            fields.append((flags & ~ABSENT).tolist())
        else:
            values = columns[name].tolist()
            if (bit := MISSING.get(name, 0)) & some:
                for index in np.flatnonzero(flags & bit).tolist():
                    values[index] = None
            fields.append(values)
    return map(row_type, *fields)


def join(parts: Sequence[Columns]) -> Columns:
    """Join columns of the same names, end to end."""
    arrays: dict[str, Array] = {}
    words: dict[str, tuple[str | None, ...]] = {}
    for name in parts[0]:
        if name in TEXT:
            codes: defaultdict[str | None, int] = defaultdict(count().__next__)
            pieces = [np.array([codes[word] for word in part.words[name]], "i4")[part[name]] for part in parts]
            arrays[name], words[name] = np.concatenate(pieces), tuple(codes)
        else:
            arrays[name] = np.concatenate([part[name] for part in parts])
    return Columns(arrays, words)
