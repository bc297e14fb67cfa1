"""From DBN files to runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import Kind
from market_data_replay.formats.contract import Finding, Query
from market_data_replay.formats.dbn.reading import metadata
from market_data_replay.formats.dbn.rows import KINDS
from market_data_replay.formats.dbn.run import DbnRun

_ALL: frozenset[Kind] = frozenset({"quote", "trade", "bar"})


class DbnFormat:
    """Databento's files."""

    suffixes = (".dbn", ".dbn.zst")

    def find(self, files: Sequence[Path], query: Query) -> Finding:
        """Find the files with rows of the query; see `Format.find`. Of each, the metadata is read.

        Returns:
            A run per file with such records.

        Raises:
            InvalidRequest: A file is no DBN file, none has such rows, or the decoder is not installed.
        """
        runs: list[DbnRun] = []
        schemas: set[str] = set()
        for path in files:
            schema = metadata(path).schema
            name = "several schemas" if schema is None else str(schema)
            schemas.add(name)
            # A live recording has records of any schema.
            if query.kinds & (_ALL if schema is None else KINDS.get(name, frozenset())):
                runs.append(DbnRun(path=path, query=query, size=path.stat().st_size))
        if not runs:
            raise InvalidRequest(_none(query, schemas), source="replay")
        return Finding(runs=runs)


DBN = DbnFormat()


def _none(query: Query, schemas: set[str]) -> str:
    has = ", ".join(sorted(schemas))
    if schemas & KINDS.keys():
        return f"no {query.wanted} in {query.path}: it has {has}; ask for other kinds"
    return (
        f"no {query.wanted} in {query.path}: it has {has}, which are no quotes, trades or bars; "
        f"the schemas that are played are {', '.join(KINDS)}"
    )
