"""From lines of CSV to exact arrays, with the lines that make no sense left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from market_data_pipeline.errors import InvalidRequest, MalformedMessage
from market_data_pipeline.model import MAX_PX
from market_data_replay.formats.contract import TRIED, good_parts
from market_data_replay.formats.lean.layout import PRICES, SIDES, Market

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arrays = dict[str, "NDArray[Any]"]
Words = tuple[str | None, ...]
Table = tuple[Arrays, Words]
"""Arrays by column, and the words of `conditions`."""

_DAY = 86_400_000_000_000
_NO_PRICE = "0 is no price"


class LeanText:
    """Parses the lines of files of one layout.

    The arrays are named as the columns of the layout: `ms` as int64 ns since midnight, prices as int64 at 1e-9 and 0
    where empty, sizes as float64, `suspicious` as bool. `exchange` and `quote_conditions` are not read.
    """

    def __init__(self, layout: Sequence[str], market: Market, skip: Callable[[int, str], None]) -> None:
        """Prepare for a layout.

        Args:
            layout: The names of the columns, in order.
            market: How its prices are written.
            skip: Called with the number of each malformed line, and what is wrong with it.
        """
        self._skip = skip
        self._may_be_empty = {f"{side}_{name}" for side in SIDES for name in PRICES}
        types = {name: _arrow_type(name, market) for name in layout if name not in {"exchange", "quote_conditions"}}
        self._names = list(layout)
        self._parse = pyarrow.csv.ParseOptions(quote_char=False)
        self._convert = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[""])

    def tables(self, stream: IO[bytes], where: str, size: int) -> Iterator[tuple[int, Table]]:
        """Yield the number of bytes read, and what their good lines hold, block by block.

        Args:
            stream: The file.
            where: Its name.
            size: Bytes of a block.

        Raises:
            InvalidRequest: None of the first hundred lines is good, or there are no lines at all.
        """
        good = False
        for line, block in _blocks(stream, where, size):
            if not block.strip():
                continue
            try:
                tables = [self._table(block)]
            except MalformedMessage as error:
                lines = block.splitlines(keepends=True)

                def read(start: int, stop: int, lines: list[bytes] = lines) -> Table | None:
                    part = b"".join(lines[start:stop])
                    return self._table(part) if part.strip() else None

                def skip(number: int, reason: str, lines: list[bytes] = lines, first: int = line) -> None:
                    self._skip(first + number, f"{reason}: {lines[number][:100]!r}")

                head = [table for table in good_parts(read, min(TRIED, len(lines)), skip) if table]
                if not (good or head):
                    raise InvalidRequest(
                        f"{where} is not what it claims to be: its lines do not read as {self._names} ({error})",
                        source="replay",
                    ) from error
                rest = good_parts(read, len(lines), skip, start=TRIED) if len(lines) > TRIED else ()
                tables = [*head, *(table for table in rest if table)]
            good = True
            for number, table in enumerate(tables):
                yield 0 if number else len(block), table

    def _table(self, block: bytes) -> Table:
        read = pyarrow.csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(block) + 1)
        try:
            # `read_csv` would wait for another thread, for each of the small files of option contracts.
            table = pyarrow.csv.open_csv(
                BytesIO(block), read_options=read, parse_options=self._parse, convert_options=self._convert
            ).read_all()
        except pa.ArrowInvalid as error:
            raise MalformedMessage(re.sub(r"Row #\d+: ", "", str(error)).splitlines()[0]) from error
        arrays: Arrays = {}
        words: Words = ()
        for name, column in zip(table.column_names, table.columns, strict=True):
            values: Any = column.chunk(0)  # the block is one of pyarrow's too
            if values.null_count and name not in self._may_be_empty:
                raise MalformedMessage(f"{name} is empty")
            if pa.types.is_decimal(values.type):
                arrays[name] = _unscaled(values, name)
            elif name == "conditions":
                arrays[name] = values.indices.to_numpy()
                words = tuple(word or None for word in values.dictionary.to_pylist())
            else:
                arrays[name] = values.to_numpy(zero_copy_only=False)
        _check(arrays)
        return arrays, words


def _arrow_type(name: str, market: Market) -> pa.DataType:
    if name == "ms":
        return pa.decimal128(18, 6)
    if name.endswith("px"):
        return pa.decimal128(18, 9 - market.shift)
    if name == "conditions":
        return pa.dictionary(pa.int32(), pa.string())
    return pa.bool_() if name == "suspicious" else pa.float64()


def _unscaled(values: Any, name: str) -> NDArray[Any]:
    """Return the integers behind decimals, 0 where empty: of times in ms at 1e-6 that is ns, of prices billionths."""
    words = np.frombuffer(values.buffers()[1], "<i8").reshape(-1, 2)[values.offset :][: len(values)]
    if values.null_count:
        words = np.where(values.is_null().to_numpy(zero_copy_only=False)[:, None], 0, words)
    low: NDArray[Any] = words[:, 0].copy()
    if (words[:, 1] != low >> 63).any() or (abs(low) > MAX_PX).any():
        raise MalformedMessage(f"{name} is beyond the bound")
    return low


def _check(arrays: Arrays) -> None:
    if ((arrays["ms"] < 0) | (arrays["ms"] >= _DAY)).any():
        raise MalformedMessage("the time is not within the day")
    for name, values in arrays.items():
        if name.endswith(("size", "volume")) and not (np.isfinite(values) & (values >= 0)).all():
            raise MalformedMessage(f"{name} is no amount")
        if name in {"px", *PRICES} and not values.all():
            raise MalformedMessage(f"{name}: {_NO_PRICE}")
    if "bid_open_px" in arrays:
        for side in SIDES:
            there = np.stack([arrays[f"{side}_{name}"] != 0 for name in PRICES])
            if (there.any(axis=0) != there.all(axis=0)).any():
                raise MalformedMessage(f"{side}: {_NO_PRICE}, but not all four are 0")


def _blocks(stream: IO[bytes], where: str, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number of the first line, and whole lines."""
    line, rest = 1, b""
    while True:
        read = stream.read(size)
        text = rest + read
        more = len(read) == size
        end = text.rfind(b"\n") + 1 if more else len(text)
        if len(text) - end > size:
            raise InvalidRequest(f"{where} is not what it claims to be: there are no lines in it", source="replay")
        block, rest = text[:end], text[end:]
        if block:
            yield line, block
            line += block.count(b"\n")
        if not more:
            return
