"""From record batches with our columns to chunks: what the formats share that read their files with pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa

from market_data_pipeline.errors import InvalidRequest, MalformedMessage
from market_data_pipeline.model import Batch, Origin, Row
from market_data_pipeline.model.arrow import from_arrow
from market_data_pipeline.model.columns import Columns
from market_data_replay.formats.contract import TRIED, UNSTAMPED, Chunk, Query, Tally, good_parts


def read_batches(
    read: Callable[[int, int], pa.RecordBatch],
    count: int,
    *,
    skip: Callable[[int, str], None],
    claim: str | None,
) -> Iterable[Batch[Row]]:
    """Return the batches of the good rows among `count`.

    Args:
        read: Returns the rows from one number to another, or raises `MalformedMessage`.
        count: How many rows there are.
        skip: Called with the number of each bad row and what is wrong with it.
        claim: What the file claims to be, with its path, where these are its first rows; None later on.

    Raises:
        InvalidRequest: There is no good one among the first.
    """

    def batches(start: int, stop: int) -> list[Batch[Row]]:
        return from_arrow(read(start, stop), source="replay", epoch=UNSTAMPED)

    try:
        return batches(0, count)
    except MalformedMessage as error:
        head = list(good_parts(batches, min(TRIED, count), skip))
        if not head and claim is not None:
            raise InvalidRequest(f"{claim} ({error})", source="replay") from error
        rest = good_parts(batches, count, skip, start=TRIED) if count > TRIED else ()
        return [batch for part in (*head, *rest) for batch in part]


def to_chunk(batch: Batch[Row], query: Query, tally: Tally, *, stamped: bool) -> Chunk | None:
    """Return the rows of the query, or None; without `ordinal` if the file has no identities."""
    columns = batch.columns
    words = columns.words["symbol"]
    tally.seen.update(str(word) for word in words)
    keep = query.holds(columns["start" if batch.kind == "bar" else "ts_event"])
    if query.symbols:
        keep &= np.array([word in query.symbols for word in words])[columns["symbol"]]
    if not keep.all():
        columns = columns.take(np.flatnonzero(keep))
    if not len(columns):
        return None
    origin = batch.origin
    if not stamped:
        origin = Origin(origin.provider, origin.source, UNSTAMPED, origin.mode)
        columns = Columns({name: columns[name] for name in columns if name != "ordinal"}, columns.words)
    return Chunk(batch.kind, origin, columns)
