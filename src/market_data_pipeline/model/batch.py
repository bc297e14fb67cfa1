"""Batches: rows of one kind and one origin, with two faces.

A batch is born with one face and makes the other on first use: `rows`, a tuple of row objects, which is what a live
socket produces; and `columns`, equally long read-only numpy arrays, which replay and files want.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar

from market_data_pipeline.model.rows import Bar, Kind, Origin, Quote, Row, Trade

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from market_data_pipeline.model.columns import Columns

R_co = TypeVar("R_co", bound=Row, covariant=True)


class Batch(Generic[R_co]):
    """At least one row of one kind and one origin; immutable, so that it may go to any task or thread.

    Two batches are equal only if they are the same object: compare their rows.

    Attributes:
        origin: Where all its rows come from.
        position: "All up to the end of this batch", in words that its source understands; None where it cannot resume.
        born: The face it was made with. A stage takes this face if it can; nothing is converted for speed.
        nbytes: What it weighs in memory in that face, roughly.
    """

    __slots__ = ("_columns", "_length", "_rows", "born", "nbytes", "origin", "position")

    row_type: ClassVar[type[Row]]
    row_bytes: ClassVar[int]
    """What one row object weighs, roughly."""

    born: Literal["rows", "columns"]
    origin: Origin
    position: str | None
    nbytes: int

    def __init__(self, rows: Iterable[R_co], *, position: str | None = None) -> None:
        """Make a batch from row objects, which share one origin.

        Raises:
            ValueError: There is no row.
            TypeError: The first is of another kind.
        """
        self._rows: tuple[R_co, ...] | None = tuple(rows)
        if not self._rows:
            raise ValueError(f"a {type(self).__name__} has at least one row")
        if not isinstance(self._rows[0], self.row_type):
            raise TypeError(f"a {type(self).__name__} is made of {self.row_type.__name__} rows, not {self._rows[0]!r}")
        self._columns: Columns | None = None
        self._length = len(self._rows)
        self.nbytes = self._length * self.row_bytes
        self.origin = self._rows[0].origin
        self.position = position
        self.born = "rows"

    @classmethod
    def from_columns(cls, columns: Columns, origin: Origin, *, position: str | None = None) -> Self:
        """Make a batch from columns.

        Returns:
            The batch, born with columns.

        Raises:
            ValueError: There is no row, or a column is missing.
        """
        if lacking := [name for name in cls.row_type.__struct_fields__ if name != "origin" and name not in columns]:
            raise ValueError(f"a {cls.__name__} needs the columns {', '.join(lacking)}")
        if not len(columns):
            raise ValueError(f"a {cls.__name__} has at least one row")
        batch = cls.__new__(cls)
        batch._rows = None  # noqa: SLF001
        batch._columns = columns  # noqa: SLF001
        batch._length = len(columns)  # noqa: SLF001
        batch.nbytes = columns.nbytes
        batch.origin = origin
        batch.position = position
        batch.born = "columns"
        return batch

    @property
    def kind(self) -> Kind:
        """The kind of its rows."""
        return self.row_type.kind

    @property
    def rows(self) -> tuple[R_co, ...]:
        """The rows as objects."""
        rows = self._rows
        if rows is None:
            from market_data_pipeline.model.columns import to_rows

            made: Iterable[Any] = to_rows(self.row_type, self.columns, self.origin)
            self._rows = rows = tuple(made)
        return rows

    @property
    def columns(self) -> Columns:
        """The rows as read-only arrays, one per field but `origin`.

        Raises:
            ValueError: The rows do not share one origin, or a value does not fit its column.
        """
        if self._columns is None:
            from market_data_pipeline.model.columns import from_rows

            self._columns = from_rows(self.row_type, self.rows)
        return self._columns

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, cut: slice) -> Self:
        """Return the rows of a slice as a batch of the same face, with the position only if it keeps the end.

        Raises:
            TypeError: An index, not a slice: a row is `batch.rows[index]`.
            ValueError: The slice is empty.
        """
        if not isinstance(cut, slice):
            raise TypeError(
                "a batch is cut by slices: a row is batch.rows[index], and `for row in batch.rows` goes over them"
            )
        _, stop, step = cut.indices(len(self))
        position = self.position if (stop, step) == (len(self), 1) else None
        if self.born == "rows":
            return type(self)(self.rows[cut], position=position)
        return self.from_columns(self.columns.take(cut), self.origin, position=position)

    def select(self, indices: Sequence[int] | NDArray[Any]) -> Self:
        """Return the rows at `indices`, in that order, as a batch of the same face without a position.

        Raises:
            ValueError: There are no indices.
            TypeError: A mask, not indices.
        """
        if getattr(indices, "dtype", None) == "bool":
            raise TypeError("a batch is selected from by indices: those of a mask are numpy.flatnonzero(mask)")
        if self.born == "rows":
            rows = self.rows
            return type(self)(rows[index] for index in indices)
        return self.from_columns(self.columns.take(indices), self.origin)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self)} rows, {self.origin.provider} epoch {self.origin.epoch}>"


class QuoteBatch(Batch[Quote]):
    """Quotes as one batch."""

    __slots__ = ()
    row_type: ClassVar[type[Row]] = Quote
    row_bytes = 320


class TradeBatch(Batch[Trade]):
    """Trades as one batch."""

    __slots__ = ()
    row_type: ClassVar[type[Row]] = Trade
    row_bytes = 320


class BarBatch(Batch[Bar]):
    """Bars as one batch."""

    __slots__ = ()
    row_type: ClassVar[type[Row]] = Bar
    row_bytes = 560


BATCHES: dict[Kind, type[Batch[Row]]] = {"quote": QuoteBatch, "trade": TradeBatch, "bar": BarBatch}
"""The batch class of each kind."""


def concat(batches: Sequence[Batch[R_co]]) -> Batch[R_co]:
    """Join batches of one kind and origin into one of the first one's face, in order.

    Returns:
        The batch, with the position of the last.

    Raises:
        ValueError: There is none, or they differ in kind or origin.
    """
    if not batches:
        raise ValueError("there is no batch to join")
    first, last = batches[0], batches[-1]
    if len(batches) == 1:
        return first
    if other := next((one for one in batches if (one.kind, one.origin) != (first.kind, first.origin)), None):
        raise ValueError(f"batches of one kind and origin can be joined, not {first!r} and {other!r}")
    if first.born == "rows":
        rows: list[R_co] = []
        for batch in batches:
            rows += batch.rows
        return type(first)(rows, position=last.position)
    from market_data_pipeline.model.columns import join

    return first.from_columns(join([batch.columns for batch in batches]), first.origin, position=last.position)
