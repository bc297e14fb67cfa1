"""From merged parts of files to batches, in the exact order of their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs
import numpy as np

from market_data_pipeline.model import BATCHES, Batch, Kind, Origin, Row
from market_data_pipeline.model.columns import Columns, join
from market_data_replay.formats.contract import UNSTAMPED, Chunk, Mixed
from market_data_replay.merge import MOST_ROWS

if TYPE_CHECKING:
    from market_data_pipeline.model.columns import Array

SHORT_ROWS = 64
"""Where kinds or origins alternate faster than this on average, batches are born as rows: objects are cheaper then."""


@attrs.define
class BatchMaker:
    """Puts rows in order, gives an identity to those without one, and cuts where kind or origin change.

    A row without `epoch` and `ordinal` gets its number in this replay as `ordinal`, and the `ts_event` of the first
    such row of its provider as `epoch`. So all files of a provider share an origin, and rows of many symbols a batch.
    The same request over the same files gives the same identities, another request may not.
    """

    rows: int = 0
    """How many rows have gone out."""
    _stamped: dict[Origin, Origin] = attrs.field(factory=dict)

    def make(self, parts: Sequence[tuple[Chunk | Mixed, Array]]) -> Iterator[Batch[Row]]:
        """Yield the batches of one stretch, given as parts with their sort keys, in file order."""
        chunks = [chunk for part, _ in parts for chunk in part.chunks]
        if len(chunks) == len(parts) and len({(chunk.kind, chunk.origin) for chunk in chunks}) == 1:
            yield from self._alike(chunks, [keys for _, keys in parts])
            return
        groups: dict[tuple[Kind, Origin], int] = {}
        columns_of: dict[int, list[Columns]] = defaultdict(list)
        in_files = np.empty(sum(len(keys) for _, keys in parts), "i8")
        first = 0
        for part, keys in parts:
            for chunk, places in zip(part.chunks, part.places(), strict=True):
                group = groups.setdefault((chunk.kind, chunk.origin), len(groups))
                in_files[first + places] = group
                columns_of[group].append(chunk.columns)
            first += len(keys)
        order = np.argsort(np.concatenate([keys for _, keys in parts]), kind="stable")
        in_time = in_files[order]
        whole: dict[int, Batch[Row]] = {}
        # In the order of their first rows, which the epochs follow.
        for (kind, origin), group in sorted(groups.items(), key=lambda item: int(np.argmax(in_time == item[1]))):
            mine = columns_of[group]
            columns = join(mine) if len(mine) > 1 else mine[0]
            places = np.flatnonzero(in_time == group)
            if len(parts) > 1:
                columns = columns.take((np.cumsum(in_files == group) - 1)[order[places]])
            whole[group] = self._stamp(kind, origin, columns, self.rows + places)
        yield from self._cut(in_time, whole)

    def _alike(self, chunks: Sequence[Chunk], keys: Sequence[Array]) -> Iterator[Batch[Row]]:
        """Yield the batches of chunks of one kind and origin: nearly always it is so, and needs no groups."""
        first = chunks[0]
        columns = first.columns
        if len(chunks) > 1:
            order = np.argsort(np.concatenate(keys), kind="stable")
            columns = join([chunk.columns for chunk in chunks]).take(order)
        count = len(columns)
        batch = self._stamp(first.kind, first.origin, columns, np.arange(self.rows, self.rows + count))
        for start in range(0, count, MOST_ROWS):
            piece = batch[start : start + MOST_ROWS] if count > MOST_ROWS else batch
            self.rows += len(piece)
            yield piece

    def _stamp(self, kind: Kind, origin: Origin, columns: Columns, ordinals: Array) -> Batch[Row]:
        if origin.epoch == UNSTAMPED:
            epoch = int(columns["ts_event"][0])
            origin = self._stamped.setdefault(origin, Origin(origin.provider, origin.source, epoch, origin.mode))
            columns = Columns({**columns, "ordinal": ordinals}, columns.words)
        return BATCHES[kind].from_columns(columns, origin)

    def _cut(self, groups: Array, whole: dict[int, Batch[Row]]) -> Iterator[Batch[Row]]:
        """Yield the batches of a stretch, given the group of each row and all rows of each group."""
        changes = np.flatnonzero(groups[1:] != groups[:-1]) + 1
        cuts = [0, *np.union1d(changes, np.arange(MOST_ROWS, len(groups), MOST_ROWS)).tolist(), len(groups)]
        short = len(changes) * SHORT_ROWS > len(groups)
        rows = {group: batch.rows for group, batch in whole.items()} if short else {}
        begin = dict.fromkeys(whole, 0)
        for start, stop in pairwise(cuts):
            group = int(groups[start])
            batch, first = whole[group], begin[group]
            part = slice(first, first + stop - start)
            begin[group] = part.stop
            self.rows += stop - start
            yield type(batch)(rows[group][part]) if short else batch[part]
