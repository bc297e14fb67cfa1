"""Bars out of the files of one interval and provider. Imported on first use: it needs pyarrow.

A file is read by row groups, of which statistics leave out most, so that memory is bounded by a row group and by what
is asked for, whatever the size of the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from market_data_pipeline.dataset.folders import DAY_NS, Folder
from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model import Bar, BarBatch, Basis
from market_data_pipeline.model.arrow import from_arrow

Bars = dict[tuple[str, Basis], dict[int, Bar]]
"""By symbol and basis, then by start."""


class BarReader:
    """Reads bars of one interval and provider."""

    def __init__(self, folders: Sequence[Folder]) -> None:
        self._folders = sorted(folders)
        self._footers: dict[Path, pq.FileMetaData] = {}

    def newest(self) -> int:
        """Return the greatest end of a bar, int ns, by the statistics of the newest files.

        Raises:
            MalformedMessage: A file cannot be read.
        """
        last = self._folders[-1]
        end = (last.day + 1) * DAY_NS
        return max((_range(group, "end", (0, end))[1] for group in self._groups(last)), default=end)

    def before(self, time: int) -> int | None:
        """Return the day of the newest folder in which a bar can end by a time, int ns; None where there is none."""
        return max((folder.day for folder in self._folders if folder.day <= time // DAY_NS), default=None)

    def read(self, start: int, end: int, symbols: Sequence[str], basis: Basis | None = None) -> Bars:
        """Return the bars of some symbols that begin in [start, end); of several for one interval, the best.

        Raises:
            MalformedMessage: A file cannot be read.
        """

        def may_have(group: Any) -> bool:
            first, last = _range(group, "start", (start, start))
            low, high = _range(group, "symbol", ("", None))
            return (
                first < end and last >= start and any(low <= one and (high is None or one <= high) for one in symbols)
            )

        folders = [folder for folder in self._folders if start // DAY_NS <= folder.day <= end // DAY_NS]
        wanted = pa.array(symbols)
        found: Bars = {}
        for table in self._tables(folders, may_have):
            at = table["start"]
            in_time = pc.and_(pc.greater_equal(at, pa.scalar(start)), pc.less(at, pa.scalar(end)))
            mask = pc.and_(in_time, pc.is_in(table["symbol"], wanted))
            if basis is not None:
                mask = pc.and_(mask, pc.is_in(table["basis"], pa.array([basis])))
            for bar in _rows(table.filter(mask)):
                bars = found.setdefault((bar.symbol, bar.basis), {})
                bars[bar.start] = max(bar, bars.get(bar.start, bar), key=_quality)
        return found

    def scan(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns of all files, a row group at a time.

        Raises:
            MalformedMessage: A file cannot be read.
        """
        yield from self._tables(self._folders, lambda _: True, columns=list(columns))

    def _tables(
        self, folders: Iterable[Folder], wanted: Callable[[Any], bool], *, columns: list[str] | None = None
    ) -> Iterator[pa.Table]:
        paths = [path for folder in folders for path in folder.files]
        self._footers = {path: self._footers[path] for path in paths if path in self._footers}
        for path in paths:
            with _reading(path), pq.ParquetFile(path, metadata=self._footers.get(path)) as file:
                footer = self._footers[path] = file.metadata
                for number in range(footer.num_row_groups):
                    if wanted(footer.row_group(number)):
                        yield file.read_row_group(number, columns=columns, use_threads=False)

    def _groups(self, folder: Folder) -> Iterator[Any]:
        for path in folder.files:
            with _reading(path):
                footer = pq.read_metadata(path)
            yield from map(footer.row_group, range(footer.num_row_groups))


def readers(folders: Sequence[Folder]) -> dict[str, BarReader]:
    """Return one reader for each provider."""
    providers = sorted({folder.provider for folder in folders})
    return {name: BarReader([folder for folder in folders if folder.provider == name]) for name in providers}


def _range(group: Any, name: str, unknown: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the least and greatest value of a column in a row group, by its statistics."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == name and column.statistics is not None and column.statistics.has_min_max:
            return column.statistics.min, column.statistics.max
    return unknown


def _rows(table: pa.Table) -> Iterator[Bar]:
    for batch in table.to_batches():
        for one in from_arrow(batch, source="dataset"):
            yield from cast("BarBatch", one).rows


def _quality(bar: Bar) -> tuple[int, bool, bool, int, int]:
    """Return what makes one of several bars of an interval the better one: the last revision, the newest connection."""
    return bar.revision, bar.is_final, bar.complete, bar.origin.epoch, bar.ordinal


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, KeyError) as error:
        raise MalformedMessage(f"{path} cannot be read as a file of bars: {error}") from error
