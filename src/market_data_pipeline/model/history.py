"""Bars of the past, as a provider answered: batches, with what was said about what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from market_data_pipeline.model.batch import Batch
from market_data_pipeline.model.events import ControlEvent
from market_data_pipeline.model.frames import Tabular
from market_data_pipeline.model.rows import Bar, Basis

if TYPE_CHECKING:
    import pyarrow as pa


@attrs.frozen(kw_only=True, eq=False)
class History(Tabular):
    """The bars of one symbol in [start, end), ordered by start; an interval without a row has no bar."""

    symbol: str
    start: int
    """Int ns."""
    end: int
    interval_ns: int
    basis: Basis
    batches: tuple[Batch[Bar], ...] = attrs.field(repr=False)
    events: tuple[ControlEvent, ...] = ()
    """What the provider said beside the bars, such as a `Gap` where some are missing."""

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def __iter__(self) -> Iterator[Bar]:
        return (bar for batch in self.batches for bar in batch.rows)

    @property
    def rows(self) -> tuple[Bar, ...]:
        """All bars, in order."""
        return tuple(self)

    def to_arrow(self) -> pa.Table:
        """Return the bars with the columns that our files are read with; prices are DECIMAL(18, 9)."""
        import pyarrow as pa

        from market_data_pipeline.model.arrow import RowGroup, as_read

        group = RowGroup("bar", len(self))
        for batch in self.batches:
            group.append(batch)
        table = pa.Table.from_batches([group.to_arrow()])
        return table.cast(as_read(table.schema))
