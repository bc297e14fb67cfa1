"""The formats of text files: from files to runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from market_data_replay.formats.contract import Finding, Query
from market_data_replay.formats.text.csv_file import CsvReader
from market_data_replay.formats.text.jsonl_file import JsonlReader
from market_data_replay.formats.text.mapping import check_mapping
from market_data_replay.formats.text.run import Reader, TextRun


@attrs.frozen
class TextFormat:
    """A way to write a row a line."""

    suffixes: tuple[str, ...]
    _make: Callable[[Query], Reader]

    def find(self, files: Sequence[Path], query: Query) -> Finding:
        """Find the files with rows of the query; see `Format.find`. Only reading them tells more.

        Returns:
            A run per file.

        Raises:
            InvalidRequest: The settings do not describe such rows.
        """
        reader = self._make(query)
        return Finding(
            runs=[TextRun(path=path, reader=reader, query=query, size=path.stat().st_size) for path in files]
        )


def _csv(query: Query) -> Reader:
    return CsvReader(settings=query.settings, kind=check_mapping(query.settings, query))


def _jsonl(query: Query) -> Reader:
    settings = query.settings
    own = settings.kind is None and not settings.columns
    return JsonlReader(settings=settings, kind=None if own else check_mapping(settings, query))


def _suffixes(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{packed}" for name in names for packed in ("", ".gz", ".zst"))


CSV = TextFormat(_suffixes(".csv"), _csv)
JSONL = TextFormat(_suffixes(".jsonl", ".ndjson"), _jsonl)
