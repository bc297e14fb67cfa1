"""What a format of files has to offer: runs, which are files in time order, read chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from logging import Logger
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs
import numpy as np

from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model import END_OF_TIME, Kind, Origin
from market_data_replay.settings import ReplaySettings, Resolution

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from market_data_pipeline.model.columns import Columns

T = TypeVar("T")
Array = np.ndarray[Any, np.dtype[Any]]

UNSTAMPED = -1
"""The epoch of an origin whose files keep neither epoch nor ordinal: the replay stamps its rows."""

BEGINNING = -(2**63)
"""Before every time, int ns."""

TRIED = 100
"""A file without a good row among its first so many is not what it claims to be."""

LOGGED = 5
"""So many malformed rows of one replay are logged one by one."""


@attrs.frozen(kw_only=True)
class Query:
    """What to look for in the files."""

    path: Path
    """Where the user said they are, for messages."""
    symbols: tuple[str, ...] = ()
    """Empty: all."""
    kinds: frozenset[Kind]
    start: int | None = None
    """Int ns; of a bar, its start counts. None: from the first row."""
    end: int | None = None
    resolution: Resolution | None = None
    suspicious: bool = False
    settings: ReplaySettings = attrs.field(factory=lambda: ReplaySettings(path=Path()))
    """The rest of what the user set, for the formats that need a description of the file."""

    def holds(self, times: NDArray[Any]) -> NDArray[Any]:
        """Return which times are in the range."""
        after = times >= (BEGINNING if self.start is None else self.start)
        return after & (times < (END_OF_TIME if self.end is None else self.end))

    @property
    def wanted(self) -> str:
        """The request in words, for messages."""
        return f"{' or '.join(sorted(self.kinds))} rows for {', '.join(self.symbols) or 'any symbol'}"


@attrs.define
class Tally:
    """What became of the files' content so far; written by one thread at a time."""

    log: Logger
    read: int = 0
    """Bytes of the runs' `size`."""
    malformed: int = 0
    """Rows that could not be read and were skipped."""
    suspicious: int = 0
    """Rows left out because their publisher marks them so."""
    seen: set[str] = attrs.field(factory=set)
    """Symbols of the files, as far as they were read; a format that knows them beforehand adds none."""

    def skip(self, where: str, line: int, reason: str) -> None:
        """Count a malformed row, and log it if it is one of the first."""
        self.malformed += 1
        if self.malformed <= LOGGED:
            self.log.warning("%s:%d: row skipped: %s", where, line, reason)
            if self.malformed == LOGGED:
                self.log.warning("further malformed rows are counted only: see the end of the replay, or status()")


@attrs.frozen
class Chunk:
    """Rows of one kind and one origin, in the order of their file."""

    kind: Kind
    origin: Origin
    columns: Columns
    """All columns of the kind; without `ordinal` if the origin is `UNSTAMPED`."""

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """Itself: the chunks that a `Mixed` one has."""
        return (self,)

    @property
    def times(self) -> Array:
        """The `ts_event` of its rows."""
        return self.columns["ts_event"]

    def places(self) -> Iterator[Array]:
        """Yield, for each of `chunks`, where its rows stand among all."""
        yield np.arange(len(self.columns))

    def take(self, start: int, stop: int) -> Chunk:
        """Return some rows."""
        return Chunk(self.kind, self.origin, self.columns.take(slice(start, stop)))


@attrs.frozen(eq=False)
class Mixed:
    """Rows of several kinds or origins that alternate in their file, in its order."""

    chunks: tuple[Chunk, ...]
    """One of each kind and origin."""
    codes: Array
    """In which of them each row is."""

    @property
    def times(self) -> Array:
        """The `ts_event` of its rows."""
        times = np.empty(len(self.codes), "i8")
        for chunk, places in zip(self.chunks, self.places(), strict=True):
            times[places] = chunk.times
        return times

    def places(self) -> Iterator[Array]:
        """Yield, for each of `chunks`, where its rows stand among all."""
        for code in range(len(self.chunks)):
            yield np.flatnonzero(self.codes == code)

    def take(self, start: int, stop: int) -> Mixed:
        """Return some rows."""
        chunks: list[Chunk] = []
        codes = np.zeros(stop - start, "i8")
        for chunk, places in zip(self.chunks, self.places(), strict=True):
            first, last = np.searchsorted(places, (start, stop)).tolist()
            if first < last:
                codes[places[first:last] - start] = len(chunks)
                chunks.append(chunk.take(first, last))
        return Mixed(tuple(chunks), codes)


class Run(Protocol):
    """One file, or one part of a file, whose rows are in time order."""

    @property
    def lower(self) -> int:
        """No row has a `ts_event` before this, int ns: the run is not opened earlier."""
        ...

    @property
    def size(self) -> int:
        """How much there is to read, in bytes."""
        ...

    def chunks(self, tally: Tally, rows: int) -> Generator[Chunk | Mixed]:
        """Open the file, yield its rows of the query in chunks of about `rows`, and add what was read to `tally`.

        Raises:
            InvalidRequest: The file is not what it claims to be.
        """
        ...


@attrs.frozen(kw_only=True)
class Finding:
    """What a format found for a query."""

    runs: Sequence[Run]
    """In file order, which decides between rows of the same time."""
    missing: Mapping[str, str] = attrs.field(factory=dict)
    """Why there is nothing for these symbols, where that is known beforehand."""


class Format(Protocol):
    """A way to keep market data in files."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How its files end: ".parquet"."""
        ...

    def find(self, files: Sequence[Path], query: Query) -> Finding:
        """Find what the query wants; reads no rows.

        Args:
            files: Files with one of these suffixes, sorted.
            query: What is wanted.

        Raises:
            InvalidRequest: The files are not what they claim to be, or have no such rows.
            UnknownSymbol: They have none of the symbols.
        """
        ...


def good_parts(
    read: Callable[[int, int], T], stop: int, skip: Callable[[int, str], None], *, start: int = 0
) -> Iterator[T]:
    """Yield what can be read of the rows [start, stop), by halving them until the bad ones stand alone.

    Args:
        read: Reads the rows from one number to another, or raises `MalformedMessage`.
        stop: The number behind the last row.
        skip: Called with the number of each bad row and what is wrong with it.
        start: The number of the first row.
    """
    try:
        yield read(start, stop)
    except MalformedMessage as error:
        if stop - start == 1:
            skip(start, str(error))
            return
        half = (start + stop) // 2
        yield from good_parts(read, half, skip, start=start)
        yield from good_parts(read, stop, skip, start=half)
