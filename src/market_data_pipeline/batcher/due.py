"""What a batcher gives out."""

from __future__ import annotations

from collections.abc import Generator

from market_data_pipeline.model import Batch, Row, StreamItem


class Due(tuple[StreamItem, ...]):
    """Items, in order. For earlier programs it can be awaited: then it is a list of the rows in it, or None."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, list[Row] | None]:
        yield from ()  # there is nothing to wait for
        return [row for item in self if isinstance(item, Batch) for row in item.rows] or None


NOTHING = Due()
