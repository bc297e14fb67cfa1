"""From record batches with our columns to chunks: what the formats share that read their files with pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import IO, TypeVar

import numpy as np
import pyarrow as pa

from market_data_pipeline.errors import InvalidRequest, MalformedMessage
from market_data_pipeline.model import Batch, Kind, Origin, Row
from market_data_pipeline.model.arrow import from_arrow
from market_data_pipeline.model.columns import Columns, join
from market_data_replay.formats.contract import TRIED, UNSTAMPED, Array, Chunk, Mixed, Query, Tally, good_parts

T = TypeVar("T")
Read = tuple[Batch[Row], Array, bool]
"""A batch, where its rows stand in their file, and whether the file keeps their epoch and ordinal."""
Placed = tuple[Chunk, Array]
"""A chunk, and where its rows stand in their file."""


def counted(blocks: Iterable[T], file: IO[bytes], tally: Tally) -> Generator[T]:
    """Yield what is made of a file, and count what of it was read when the next is asked for."""
    done = 0
    for block in blocks:
        yield block
        tally.read += file.tell() - done
        done = file.tell()


def chosen(batches: Iterable[Read], query: Query, tally: Tally) -> Chunk | Mixed | None:
    """Return the rows of the query in some batches of one file, in the file's order; None if there are none."""
    placed: list[Placed] = []
    for batch, places, stamped in batches:
        if (found := to_chunk(batch, query, tally, stamped=stamped)) is not None:
            placed.append((found[0], places[found[1]]))
    return mix(placed)


def read_batches(
    read: Callable[[int, int], pa.RecordBatch],
    count: int,
    *,
    skip: Callable[[int, str], None],
    claim: str | None,
) -> Iterable[tuple[int, Batch[Row]]]:
    """Return the batches of the good rows among `count`, each with the number of its first row.

    Args:
        read: Returns the rows from one number to another, or raises `MalformedMessage`.
        count: How many rows there are.
        skip: Called with the number of each bad row and what is wrong with it.
        claim: What the file claims to be, with its path, where these are its first rows; None later on.

    Raises:
        InvalidRequest: There is no good one among the first.
    """

    def batches(start: int, stop: int) -> list[tuple[int, Batch[Row]]]:
        made = []
        for batch in from_arrow(read(start, stop), source="replay", epoch=UNSTAMPED):
            made.append((start, batch))
            start += len(batch)
        return made

    try:
        return batches(0, count)
    except MalformedMessage as error:
        head = list(good_parts(batches, min(TRIED, count), skip))
        if not head and claim is not None:
            raise InvalidRequest(f"{claim} ({error})", source="replay") from error
        rest = good_parts(batches, count, skip, start=TRIED) if count > TRIED else ()
        return [one for part in (*head, *rest) for one in part]


def to_chunk(batch: Batch[Row], query: Query, tally: Tally, *, stamped: bool) -> Placed | None:
    """Return the rows of the query and their numbers in the batch, or None; without `ordinal` if not `stamped`."""
    columns = batch.columns
    words = columns.words["symbol"]
    tally.seen.update(map(str, words))
    kept = np.arange(len(columns))
    if query.start is not None or query.end is not None:
        kept = np.flatnonzero(query.holds(columns["start" if batch.kind == "bar" else "ts_event"]))
    if query.symbols:
        wanted = np.array([word in query.symbols for word in words])
        kept = kept[wanted[columns["symbol"][kept]]]
    if not len(kept):
        return None
    if len(kept) < len(columns):
        columns = columns.take(kept)
    origin = batch.origin
    if not stamped:
        origin = Origin(origin.provider, origin.source, UNSTAMPED, origin.mode)
        columns = Columns({name: columns[name] for name in columns if name != "ordinal"}, columns.words)
    return Chunk(batch.kind, origin, columns), kept


def mix(placed: Sequence[Placed]) -> Chunk | Mixed | None:
    """Join chunks of one file, each in its order, into what stands in the file's order; None if there are none."""
    groups: dict[tuple[Kind, Origin], list[Placed]] = {}
    for chunk, places in placed:
        groups.setdefault((chunk.kind, chunk.origin), []).append((chunk, places))
    chunks = tuple(
        Chunk(kind, origin, join([chunk.columns for chunk, _ in group])) if len(group) > 1 else group[0][0]
        for (kind, origin), group in groups.items()
    )
    if not chunks:
        return None
    if len(chunks) == 1:
        return chunks[0]
    places = np.concatenate([places for group in groups.values() for _, places in group])
    codes = np.repeat(np.arange(len(chunks)), [len(chunk.columns) for chunk in chunks])
    return Mixed(chunks, codes[np.argsort(places)])
