"""The Parquet dataset that the pipeline writes: the schemas tick/1 and bar/1."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market_data_pipeline.errors import InvalidRequest, MalformedMessage
from market_data_pipeline.model import Batch, Kind, Row
from market_data_pipeline.model.arrow import kind_of
from market_data_replay.formats.contract import BEGINNING, Chunk, Finding, Mixed, Query, Tally
from market_data_replay.formats.record import chosen, read_batches

_TEXTS = ["symbol", "provider", "mode", "side", "conditions", "basis"]
_OFTEN_ALIKE = frozenset({*_TEXTS, "trade_id", "epoch", "flags", "revision", "is_final", "complete"})
"""Columns that often have one value in a whole file."""
_BUFFER = 1 << 16
_DAY_NS = 86_400_000_000_000


@attrs.frozen(kw_only=True)
class ParquetRun:
    """One file."""

    path: Path
    kind: Kind
    columns: list[str]
    groups: list[int]
    """The row groups that can have rows of the range."""
    query: Query
    size: int
    lower: int

    def chunks(self, tally: Tally, rows: int) -> Generator[Chunk | Mixed]:
        """Read the file.

        Yields:
            Its rows of the query's symbols and range.

        Raises:
            InvalidRequest: It is damaged, or its columns are not those of the schema.
        """
        texts = [name for name in _TEXTS if name in self.columns]
        stamped = {"epoch", "ordinal"} <= set(self.columns)
        try:
            # Buffered beforehand, which is the default, the whole file would be in memory.
            with pq.ParquetFile(self.path, read_dictionary=texts, pre_buffer=False, buffer_size=_BUFFER) as file:
                first = 0
                total = sum(file.metadata.row_group(group).num_rows for group in self.groups)
                alike = self._alike(file, min(rows, total))
                names = [name for name in self.columns if name not in alike]
                for data in file.iter_batches(rows, row_groups=self.groups, columns=names, use_threads=False):
                    for name, values in alike.items():
                        data = data.append_column(name, values[: data.num_rows])  # noqa: PLW2901
                    batches = (
                        (batch, np.arange(number, number + len(batch)), stamped)
                        for number, batch in self._batches(data, first, tally)
                    )
                    if (chunk := chosen(batches, self.query, tally)) is not None:
                        yield chunk
                    first += data.num_rows
                    tally.read += self.size * data.num_rows // total
        except (pa.ArrowException, OSError) as error:
            raise InvalidRequest(_damaged(self.path, error), source="replay") from error

    def _alike(self, file: pq.ParquetFile, rows: int) -> dict[str, pa.Array[Any]]:
        """Return so many rows of each column that need not be read, since the statistics say its only value."""
        groups = [file.metadata.row_group(group) for group in self.groups]
        alike = {}
        for index, field in enumerate(file.schema_arrow):
            if field.name in _OFTEN_ALIKE:
                found = {_only_value(group.column(index)) for group in groups}
                if len(found) == 1 and (value := found.pop()) is not None:
                    alike[field.name] = pa.array(value, field.type).take(pa.array(np.zeros(rows, "i4")))
        return alike

    def _batches(self, data: pa.RecordBatch, first: int, tally: Tally) -> Iterable[tuple[int, Batch[Row]]]:
        def skip(number: int, reason: str) -> None:
            tally.skip(str(self.path), first + number + 1, reason)

        claim = f"{self.path} is not what it claims to be: its rows do not read as {self.kind} rows"
        return read_batches(
            lambda start, stop: data.slice(start, stop - start),
            data.num_rows,
            skip=skip,
            claim=None if first else claim,
        )


class ParquetFormat:
    """Our own Parquet files, in their partitions or not."""

    suffixes = (".parquet",)

    def find(self, files: Sequence[Path], query: Query) -> Finding:
        """Find the files with rows of the query; see `Format.find`. Which symbols they have only reading them tells.

        Returns:
            A run per file.

        Raises:
            InvalidRequest: A file is no Parquet file, has other columns, or none has such rows.
        """
        kinds: set[Kind] = set()
        runs: list[ParquetRun] = []
        for path in files:
            partition = dict(re.findall(r"(kind|date)=([^/]+)", path.as_posix()))
            kind = partition.get("kind")
            if kind in {"quote", "trade", "bar"} and kind not in query.kinds:
                kinds.add(kind)
            elif not _is_before(partition.get("date"), query):
                run, kind = _open(path, query)
                kinds.add(kind)
                runs.extend([run] if run else [])
        if not runs:
            if kinds & query.kinds or not kinds:
                reason = "there is no row" if query.start is query.end is None else "none between start and end"
            else:
                reason = f"it has {', '.join(sorted(kinds))}; ask for other kinds"
            raise InvalidRequest(f"no {query.wanted} in {query.path}: {reason}", source="replay")
        return Finding(runs=runs)


PARQUET = ParquetFormat()


def _open(path: Path, query: Query) -> tuple[ParquetRun | None, Kind]:
    """Return the run of a file, None if it has no rows of the query, and the kind of its rows."""
    try:
        with pq.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
    except (pa.ArrowException, OSError) as error:
        raise InvalidRequest(_damaged(path, error), source="replay") from error
    try:
        kind = kind_of(schema)
    except MalformedMessage as error:
        raise InvalidRequest(f"{path} is not what the pipeline writes: {error}", source="replay") from error
    if kind not in query.kinds:
        return None, kind
    groups = []
    lower = None
    for group in range(metadata.num_row_groups):
        ranged = _range(metadata.row_group(group), "start" if kind == "bar" else "ts_event")
        if ranged and (
            (query.start is not None and ranged[1] < query.start) or (query.end is not None and ranged[0] >= query.end)
        ):
            continue
        groups.append(group)
        ranged = _range(metadata.row_group(group), "ts_event")
        least = ranged[0] if ranged else BEGINNING
        lower = least if lower is None else min(lower, least)
    if lower is None:
        return None, kind
    columns = [name for name in schema.names if name != "time"]
    run = ParquetRun(
        path=path,
        kind=kind,
        columns=columns,
        groups=groups,
        query=query,
        size=path.stat().st_size,
        lower=lower,
    )
    return run, kind


def _only_value(column: Any) -> tuple[Any] | None:
    """Return the value that all rows of a row group have in a column, where the file says so."""
    stats = column.statistics
    if stats is None or not stats.has_null_count:
        return None
    if stats.null_count == column.num_values:
        return (None,)
    return (stats.min,) if stats.has_min_max and not stats.null_count and stats.min == stats.max else None


def _range(group: Any, column: str) -> tuple[int, int] | None:
    """Return the least and the greatest value of a column of a row group, where the file says so."""
    for index in range(group.num_columns):
        chunk = group.column(index)
        if chunk.path_in_schema == column:
            stats = chunk.statistics
            return (int(stats.min), int(stats.max)) if stats is not None and stats.has_min_max else None
    return None


def _is_before(day: str | None, query: Query) -> bool:
    """Whether all rows of a partition are before the range; whether they are behind it, a bar's date does not tell."""
    if day is None or query.start is None:
        return False
    try:
        start = datetime.combine(date.fromisoformat(day), time(), UTC)
    except ValueError:  # a folder that somebody else named
        return False
    return int(start.timestamp()) * 1_000_000_000 + _DAY_NS <= query.start


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is not the Parquet file that its name says ({str(error).splitlines()[0]}): replace or remove it"
