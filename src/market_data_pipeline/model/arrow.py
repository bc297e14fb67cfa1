"""Batches as Arrow record batches and back: the columns of the schemas `tick/1` and `bar/1`, as in our Parquet files.

Imported on first use: it needs numpy and pyarrow. The sinks write with it, and whoever reads our files (the replay
provider) reads with it: `for batch in from_arrow(record_batch, source="replay")`, where a file's `symbol` is best read
with `read_dictionary=["symbol"]`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model.batch import BATCHES, Batch
from market_data_pipeline.model.columns import MISSING, TEXT, Array, Columns, dtype
from market_data_pipeline.model.names import LEADING, file_name, is_price, own_fields
from market_data_pipeline.model.price import SCALE, to_float, to_px
from market_data_pipeline.model.rows import ABSENT, Flag, Kind, Mode, Origin, Row

Prices = Literal["decimal", "float64"]

SCHEMA_KEY = "mdp.schema"
"""The key of a file's metadata under which the name of its schema stands."""
SCHEMAS: dict[Kind, str] = {"quote": "tick/1", "trade": "tick/1", "bar": "bar/1"}

_DECIMAL = pa.decimal64(18, 9)
_WIDE_DECIMAL = pa.decimal128(18, 9)
"""What pyarrow makes of it when it reads a file."""
_TEXT = pa.dictionary(pa.int32(), pa.string())
_MICROSECONDS = pa.timestamp("us")
_MARKS: dict[Kind, str] = {"quote": "bid", "trade": "price", "bar": "open"}
_FLOAT_IS_EXACT = 2**53


def _bitmap(present: Array) -> pa.Buffer:
    return pa.py_buffer(np.packbits(present, bitorder="little").data)


def schema(kind: Kind, *, prices: Prices = "decimal") -> pa.Schema:
    """Return the columns of a kind, in order; prices as DECIMAL(18, 9) or as float64."""
    types: dict[str, pa.DataType] = {"provider": _TEXT, "mode": _TEXT, "epoch": pa.int64(), "time": _MICROSECONDS}
    price = _DECIMAL if prices == "decimal" else pa.float64()
    for field in (*LEADING, *own_fields(kind)):
        if field not in types:
            text, number = field in TEXT, pa.from_numpy_dtype(dtype(field))
            types[field] = price if is_price(field) else _TEXT if text else number
    fields = [pa.field(file_name(name), types[name]) for name in (*LEADING, *own_fields(kind))]
    return pa.schema(fields, metadata={SCHEMA_KEY: SCHEMAS[kind]})


def as_read(written: pa.Schema) -> pa.Schema:
    """Return the types that pyarrow makes of our files: plain ones, which all its functions take.

    The provider alone is a dictionary: that is what it (and pandas by it) makes of `provider=` in a path, and it
    refuses a file that says otherwise.
    """
    plain: dict[pa.DataType, pa.DataType] = {_DECIMAL: _WIDE_DECIMAL, _TEXT: pa.string()}
    return pa.schema(
        field if field.name == "provider" else field.with_type(plain.get(field.type, field.type)) for field in written
    )


class RowGroup:
    """Room for rows of one kind: each is copied in once, and they go out as one record batch over the same memory.

    What goes out depends on the rows alone, not on how they were cut into batches nor on their words' order.
    """

    def __init__(self, kind: Kind, capacity: int) -> None:
        self._kind = kind
        self._capacity = capacity
        self._length = 0
        row_type = BATCHES[kind].row_type
        self._fields = tuple(name for name in row_type.__struct_fields__ if name != "origin")
        self._arrays: dict[str, Array] = {name: np.empty(capacity, dtype(name)) for name in self._fields}
        self._arrays |= {name: np.empty(capacity, "i4") for name in ("provider", "mode")}
        self._arrays["epoch"] = np.empty(capacity, "i8")
        self._codes: dict[str, dict[str | None, int]] = {}
        self._seen: dict[str, tuple[tuple[str | None, ...], Array]] = {}
        self.clear()

    def __len__(self) -> int:
        return self._length

    @property
    def room(self) -> int:
        """How many rows still fit."""
        return self._capacity - self._length

    def clear(self) -> None:
        """Forget the rows; a record batch made from them is no longer valid."""
        self._length = 0
        self._codes = {name: {} for name in self._arrays if name in TEXT or name in {"provider", "mode"}}
        self._seen = {}

    def append(self, batch: Batch[Row]) -> None:
        """Copy the rows of a batch in.

        Raises:
            ValueError: They do not fit.
        """
        if len(batch) > self.room:
            raise ValueError(f"{len(batch)} rows do not fit into a row group with room for {self.room}")
        columns, origin = batch.columns, batch.origin
        rows = slice(self._length, self._length + len(batch))
        for name in self._fields:
            values = columns[name]
            self._arrays[name][rows] = self._recode(name, columns.words[name])[values] if name in TEXT else values
        self._arrays["provider"][rows] = self._code("provider", origin.provider)
        self._arrays["mode"][rows] = self._code("mode", origin.mode)
        self._arrays["epoch"][rows] = origin.epoch
        self._length = rows.stop

    def _code(self, name: str, word: str | None) -> int:
        codes = self._codes[name]
        return codes.setdefault(word, len(codes))

    def _recode(self, name: str, words: tuple[str | None, ...]) -> Array:
        """Return our code of each of a batch's words; batches cut from one another share theirs."""
        seen = self._seen.get(name)
        if seen is None or seen[0] is not words:
            seen = self._seen[name] = words, np.array([self._code(name, word) for word in words], "i4")
        return seen[1]

    def to_arrow(self, *, prices: Prices = "decimal") -> pa.RecordBatch:
        """Return the rows as a record batch, which is valid until the next `clear()`."""
        target = schema(self._kind, prices=prices)
        arrays = [
            self._arrow(name, field.type)
            for name, field in zip((*LEADING, *own_fields(self._kind)), target, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=target)

    def _arrow(self, name: str, kind: pa.DataType) -> pa.Array[Any]:
        if name in self._codes:
            return self._text(name)
        values = self._arrays["ts_event" if name == "time" else name][: self._length]
        valid = None
        if name == "time":
            values = values // 1000
        elif name == "flags":
            values = values & ~ABSENT
        elif (bit := MISSING.get(name)) and (absent := self._arrays["flags"][: self._length] & bit).any():
            valid = _bitmap(absent == 0)
        if values.dtype == bool:
            return pa.array(values)
        if is_price(name) and kind == pa.float64():
            values = to_floats(values)
        return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(values.data)])

    def _text(self, name: str) -> pa.Array[Any]:
        """Return codes and words, words in order of first appearance, so that they do not tell how rows were cut."""
        count, codes, words = self._length, self._arrays[name][: self._length], list(self._codes[name])
        first = np.full(len(words), count)
        first[codes[::-1]] = np.arange(count - 1, -1, -1)  # of several values for one index the last one stays
        valid = None
        if None in self._codes[name]:
            none = self._codes[name][None]
            first[none] = count
            valid = _bitmap(codes != none)
        order = np.argsort(first, kind="stable")[: np.count_nonzero(first < count)]
        rank = np.zeros(len(words), "i4")
        rank[order] = np.arange(len(order))
        indices = pa.Array.from_buffers(pa.int32(), count, [valid, pa.py_buffer(rank[codes].data)])
        return pa.DictionaryArray.from_arrays(indices, pa.array([words[code] for code in order], pa.string()))


def to_arrow(batch: Batch[Row], *, prices: Prices = "decimal") -> pa.RecordBatch:
    """Return a batch with the columns of our files; None and the `NO_` bits become null."""
    group = RowGroup(batch.kind, len(batch))
    group.append(batch)
    return group.to_arrow(prices=prices)


def to_floats(px: Array) -> Array:
    """Return the floats nearest to exact prices, int64 at 1e-9."""
    floats: Array = px / SCALE
    # numpy rounds a large int to a float before it divides, which makes two roundings.
    for index in np.flatnonzero(np.abs(px) > _FLOAT_IS_EXACT):
        floats[index] = to_float(int(px[index]))
    return floats


def from_floats(floats: Array) -> tuple[Array, Array]:
    """Return prices, int64 at 1e-9, and where they had to be rounded, bool; a float stands for its shortest text.

    Raises:
        MalformedMessage: Not a finite number, or beyond the bound of a price.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        px = np.rint(floats * SCALE)
        exact = (np.abs(floats) < 2**22) & (px / SCALE == floats)
        px = np.where(exact, px, 0).astype("i8")
    inexact = np.zeros(len(px), bool)
    for index in np.flatnonzero(~exact):
        value = float(floats[index])
        px[index] = to_px(value, inexact=True)
        inexact[index] = to_float(int(px[index])) != value
    return px, inexact


def kind_of(found: pa.Schema) -> Kind:
    """Return the kind of rows that a file or record batch of this schema has.

    Raises:
        MalformedMessage: It has none of the kinds, or a schema that this version does not know.
    """
    for kind, mark in _MARKS.items():
        if mark in found.names:
            name = (found.metadata or {}).get(SCHEMA_KEY.encode())
            if name is not None and name.decode() != SCHEMAS[kind]:
                raise MalformedMessage(f"the schema {name.decode()!r} is not one of {sorted({*SCHEMAS.values()})}")
            return kind
    raise MalformedMessage(f"the columns are neither of quotes, trades nor bars: {', '.join(found.names)}")


def from_arrow(data: pa.RecordBatch, *, source: str, epoch: int = 0, row: int = 0) -> list[Batch[Row]]:
    """Return record batches of our files as batches born with columns: one per run of rows of one origin, in order.

    Args:
        data: At least the columns of a kind but `time`, `flags`, and what the next arguments make up for. A missing
            `ts_recv` becomes `ts_event`, with its flag.
        source: Who hands the rows over, for `Origin.source`.
        epoch: The epoch where there is no such column: the first `ts_event` of the file.
        row: The ordinal of the first row where there is no such column: how many rows of the file came before.

    Returns:
        The batches; none if there is no row.

    Raises:
        MalformedMessage: A column is missing, or of the wrong type, or lacks a value that every row has.
    """
    kind = kind_of(data.schema)
    if not data.num_rows:
        return []
    reader = _Reader(data, kind)
    arrays, words = reader.arrays, reader.words
    if "ts_recv" not in data.schema.names:
        arrays["ts_recv"] = arrays["ts_event"]
        reader.flags |= Flag.TS_RECV_IS_EVENT
    if "ordinal" not in data.schema.names:
        arrays["ordinal"] = np.arange(row, row + data.num_rows)
    arrays["flags"] = reader.flags
    epochs = reader.numbers("epoch") if "epoch" in data.schema.names else np.full(data.num_rows, epoch)
    (providers, provider_words), (modes, mode_words) = reader.text("provider"), reader.text("mode")
    columns = Columns(arrays, words)
    changes = epochs[1:] != epochs[:-1]
    for codes, texts in (providers, provider_words), (modes, mode_words):
        if len(texts) > 1:
            changes |= codes[1:] != codes[:-1]
    cuts = [0, *(np.flatnonzero(changes) + 1).tolist(), data.num_rows]
    batches: list[Batch[Row]] = []
    for start, stop in pairwise(cuts):
        provider, mode = provider_words[providers[start]], mode_words[modes[start]]
        origin = _origin(provider, source, int(epochs[start]), mode)
        batches.append(BATCHES[kind].from_columns(columns.take(slice(start, stop)), origin))
    return batches


@lru_cache(maxsize=256)
def _origin(provider: str, source: str, epoch: int, mode: Mode) -> Origin:
    """Return one object per origin, whatever the number of record batches."""
    return Origin(provider, source, epoch, mode)


class _Reader:
    """The columns of one record batch on their way to numpy."""

    def __init__(self, data: pa.RecordBatch, kind: Kind) -> None:
        self._data = data
        self.arrays: dict[str, Array] = {}
        self.words: dict[str, tuple[str | None, ...]] = {}
        self.flags = self.numbers("flags").astype("i4") if "flags" in data.schema.names else np.zeros(len(data), "i4")
        for name in ("symbol", "ts_event", "ts_recv", "ordinal", *own_fields(kind)):
            if name in {"ts_recv", "ordinal"} and name not in data.schema.names:
                continue
            if name in TEXT:
                self.arrays[name], self.words[name] = self.text(name)
            else:
                self.arrays[name] = self.numbers(name)

    def _column(self, name: str) -> pa.Array[Any]:
        try:
            return self._data.column(file_name(name))
        except KeyError as error:
            raise MalformedMessage(
                f"there is no column {file_name(name)!r} among {', '.join(self._data.schema.names)}"
            ) from error

    def text(self, name: str) -> tuple[Array, tuple[str | None, ...]]:
        """Return codes and words."""
        column: Any = self._column(name)
        if column.null_count:
            self._check(name, optional=name in {"trade_id", "side", "conditions"})
        if column.null_count == len(column):
            return np.zeros(len(column), "i4"), (None,)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        # By way of numpy a list of texts takes a tenth of the time.
        codes, words = column.indices, column.dictionary.to_numpy(zero_copy_only=False).tolist()
        if column.null_count:
            codes = codes.fill_null(len(words))
            words.append(None)
        return codes.to_numpy(), tuple(words)

    def numbers(self, name: str) -> Array:
        """Return the values, 0 where there is none, for which `flags` gets the bit."""
        column = self._column(name)
        absent = None
        if column.null_count:
            self._check(name, optional=name in MISSING)
            absent = column.is_null().to_numpy(zero_copy_only=False)
            self.flags |= np.where(absent, np.int32(MISSING[name]), np.int32(0))
        if is_price(name):
            return self._prices(name, column, absent)
        try:
            values: Array = column.to_numpy(zero_copy_only=False).astype(dtype(name), casting="safe", copy=False)
        except TypeError as error:
            raise MalformedMessage(f"the column {name!r} holds {column.type}, not {dtype(name)}") from error
        if absent is not None:
            values = np.where(absent, 0, values)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise MalformedMessage(f"the column {name!r} has NaN or infinity: leave a missing value out")
        return values

    def _prices(self, name: str, column: pa.Array[Any], absent: Array | None) -> Array:
        if pa.types.is_floating(column.type):
            floats = column.to_numpy(zero_copy_only=False)
            px, inexact = from_floats(floats if absent is None else np.where(absent, 0, floats))
            self.flags |= np.where(inexact, np.int32(Flag.INEXACT_PX), np.int32(0))
            return px
        if not pa.types.is_decimal(column.type):
            raise MalformedMessage(f"the column {file_name(name)!r} holds {column.type}, not decimals nor floats")
        if column.type not in {_DECIMAL, _WIDE_DECIMAL}:
            try:
                column = column.cast(_WIDE_DECIMAL)
            except pa.ArrowInvalid as error:
                raise MalformedMessage(f"the column {file_name(name)!r} is beyond DECIMAL(18, 9): {error}") from error
        words = column.type.bit_width // 64  # little-endian: the low word is the value, |px| being below 2**63
        first = column.offset * words
        data: Any = column.buffers()[1]
        values: Array = np.frombuffer(data, "i8")[first : first + len(column) * words : words]
        return np.ascontiguousarray(values) if absent is None else np.where(absent, 0, values)

    def _check(self, name: str, *, optional: bool) -> None:
        if not optional:
            raise MalformedMessage(f"the column {file_name(name)!r} lacks a value in some rows, which every row has")
