"""What there is in a dataset of bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import attrs

from market_data_pipeline.dataset.folders import Folder, intervals
from market_data_pipeline.model import Basis

if TYPE_CHECKING:
    from market_data_pipeline.dataset.reader import BarReader


@attrs.frozen(order=True)
class Series:
    """The bars of one symbol, interval, provider and basis."""

    symbol: str
    interval: int
    """Int ns."""
    provider: str
    basis: Basis
    first: int
    """When the oldest bar begins, int ns."""
    last: int
    """When the newest bar ends, int ns."""
    rows: int
    """How many there are; of one that was written twice, both count."""


def find_series(folders: Sequence[Folder]) -> list[Series]:
    """Return what there is, by symbol. It reads four columns of every file, a piece at a time.

    Raises:
        MalformedMessage: A file cannot be read.
    """
    from market_data_pipeline.dataset.reader import readers

    return sorted(
        series
        for interval in intervals(folders)
        for provider, reader in readers([folder for folder in folders if folder.interval == interval]).items()
        for series in _of_reader(reader, interval, provider)
    )


def _of_reader(reader: BarReader, interval: int, provider: str) -> list[Series]:
    import numpy as np

    found: dict[tuple[str, Basis], tuple[int, int, int]] = {}
    for table in reader.scan(["symbol", "basis", "start", "end"]):
        symbols, bases = (table[name].combine_chunks().dictionary_encode() for name in ("symbol", "basis"))
        keys: list[Any] = list(product(symbols.dictionary.to_pylist(), bases.dictionary.to_pylist()))
        index = symbols.indices.to_numpy() * len(bases.dictionary) + bases.indices.to_numpy()
        first, last = np.full(len(keys), 2**63 - 1), np.full(len(keys), -(2**63))
        np.minimum.at(first, index, table["start"].to_numpy())
        np.maximum.at(last, index, table["end"].to_numpy())
        counts = np.bincount(index, minlength=len(keys))
        for key, low, high, rows in zip(keys, first.tolist(), last.tolist(), counts.tolist(), strict=True):
            if rows:
                before = found.get(key, (low, high, 0))
                found[key] = min(before[0], low), max(before[1], high), before[2] + rows
    return [Series(symbol, interval, provider, basis, *rest) for (symbol, basis), rest in found.items()]
