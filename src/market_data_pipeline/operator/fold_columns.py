"""Columns to bars, a whole batch at a time. Imported on first use: it needs numpy.

Every row gets the number of its (interval, symbol), its slot, and the aggregates are arrays over the slots. Open bars
take part as rows that came first, so that sums go on from left to right exactly where they stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from market_data_pipeline.model import SCALE, BarBatch, Basis, Batch, Flag, Origin, Row
from market_data_pipeline.model.columns import Array, Columns
from market_data_pipeline.operator.gaps import Gaps
from market_data_pipeline.operator.inputs import Arrays, read, take
from market_data_pipeline.operator.open_bar import INCOMPLETE, KEPT, PROVISIONAL, OpenBar

_OF_BAR = ("start", "open_ts", "open_px", "high_px", "low_px", "close_ts", "close_px", "trades", "flags")
_SUMS = ("volume", "notional")
_OF_LAST = ("ts_recv", "ordinal")

_BITS = [int(bit) for bit in Flag if bit & KEPT] + [PROVISIONAL, INCOMPLETE]

_FOREVER = 2**63 - 1

_SPARSE = 16
"""Above this many slots a row they are renumbered: sorting is then cheaper than empty slots."""


class ColumnFold:
    """The open bars as arrays, for batches that are born with columns."""

    born = "columns"

    def __init__(self, interval: int, basis: Basis, bars: Sequence[OpenBar] = ()) -> None:
        self._interval = interval
        self._basis: Basis = basis
        bars = sorted(bars, key=lambda bar: (bar.start, bar.symbol))
        symbols = {symbol: index for index, symbol in enumerate(sorted({bar.symbol for bar in bars}))}
        origins: dict[Origin, int] = {}
        self._open: Arrays = {
            "symbol": np.array([symbols[bar.symbol] for bar in bars], "i8"),
            "origin": np.array([origins.setdefault(bar.last.origin, len(origins)) for bar in bars], "i8"),
            **{name: np.array([getattr(bar, name) for bar in bars], "i8") for name in _OF_BAR},
            **{name: np.array([getattr(bar, name) for bar in bars], "f8") for name in _SUMS},
            **{name: np.array([getattr(bar.last, name) for bar in bars], "i8") for name in _OF_LAST},
        }
        """The fields of `OpenBar`, by start and symbol; symbol and origin are indices into lists."""
        self._symbols = list(symbols)
        self._origins = list(origins)
        self._words: tuple[str | None, ...] = ()
        """The words of the last batch."""
        self._codes: Array = np.array([], "i8")
        """Of each of these words, the index in `_symbols`."""

    def dump(self) -> list[OpenBar]:
        """Return the open bars."""
        bars = []
        for values in zip(*(array.tolist() for array in self._open.values()), strict=True):
            bar = dict(zip(self._open, values, strict=True))
            symbol, origin = self._symbols[bar.pop("symbol")], self._origins[bar.pop("origin")]
            last = Row(symbol, bar["close_ts"], bar.pop("ts_recv"), bar.pop("ordinal"), 0, origin)
            bars.append(OpenBar(symbol=symbol, end=bar["start"] + self._interval, last=last, **bar))
        return bars

    def fold(self, batch: Batch[Row], closed: int) -> int:
        """Take rows in; those without a price of this basis are left out, and those that came after their bar.

        Returns:
            How many were taken in.

        Raises:
            OperatorError: A bar does not fit into the interval.
        """
        rows = read(batch, self._basis, self._interval)
        bucket = rows["at"] // self._interval
        if len(bucket) and int(bucket.min()) < closed // self._interval:
            in_time = np.flatnonzero(bucket >= closed // self._interval)
            rows, bucket = take(rows, in_time), bucket[in_time]
        if len(bucket):
            self._adopt(batch.columns.words["symbol"])
            rows["symbol"] = self._codes.take(rows["symbol"])
            self._open = self._merge(rows, self._slots(rows, bucket), self._number(batch.origin))
        return len(bucket)

    def close(self, before: int | None, gaps: Gaps) -> list[BarBatch]:
        """Give out the bars that start before a time as final; None: all of them, as provisional.

        Returns:
            The bars by start and symbol, one batch for each run of one origin.
        """
        start = self._open["start"]
        due = len(start) if before is None else int(np.searchsorted(start, before))
        if not due:
            return []
        bars, self._open = take(self._open, slice(due)), take(self._open, slice(due, None))
        cuts = [0, *(np.flatnonzero(np.diff(bars["origin"])) + 1).tolist(), len(bars["start"])]
        batches = []
        for cut, until in pairwise(cuts):
            run = {name: array[cut:until] for name, array in bars.items()}
            columns = self._columns(run, gaps, final=before is not None)
            batches.append(BarBatch.from_columns(columns, self._origins[int(run["origin"][0])]))
        if len(self._origins) > 1:
            used, self._open["origin"] = np.unique(self._open["origin"], return_inverse=True)
            self._origins = [self._origins[index] for index in used.tolist()]
        return batches

    def _adopt(self, words: tuple[str | None, ...]) -> None:
        """Number the symbols of a batch and of open bars in their order, which is then that of the slots."""
        if words is self._words:
            return
        known = [self._symbols[index] for index in np.unique(self._open["symbol"]).tolist()]
        symbols = sorted({*known, *(word or "" for word in words)})
        index_of = {symbol: index for index, symbol in enumerate(symbols)}
        if symbols != self._symbols:
            moved = np.array([index_of.get(symbol, -1) for symbol in self._symbols], "i8")
            self._open["symbol"] = moved[self._open["symbol"]]
        self._codes = np.array([index_of[word or ""] for word in words], "i8")
        self._symbols, self._words = symbols, words

    def _number(self, origin: Origin) -> int:
        if origin not in self._origins:
            self._origins.append(origin)
        return self._origins.index(origin)

    def _slots(self, rows: Arrays, bucket: Array) -> Array:
        """Return the slot of each open bar, then of each row."""
        slots = np.concatenate([self._open["start"] // self._interval, bucket])
        slots -= slots.min()
        slots *= len(self._symbols)
        slots += np.concatenate([self._open["symbol"], rows["symbol"]])
        if int(slots.max()) >= _SPARSE * len(slots):
            slots = np.unique(slots, return_inverse=True)[1]
        return slots

    def _merge(self, rows: Arrays, slots: Array, origin: int) -> Arrays:
        """Return the open bars with the rows in them."""
        old, count = self._open, int(slots.max()) + 1
        known = len(old["start"])
        of_bars, of_rows = slots[:known], slots[known:]
        first, last = _first_and_last(slots, count, old, rows["ts_event"])
        used = np.flatnonzero(first >= 0)
        first, last = first[used], last[used]
        opened, closed = np.flatnonzero(first < known), np.flatnonzero(last < known)

        def pick(name: str, values: Array, index: Array, of_old: Array) -> Array:
            """Take from the rows, and at `of_old` from the bars, where the index is one of theirs."""
            picked = values.take(index - known, mode="clip").astype(old[name].dtype, copy=False)
            picked[of_old] = old[name][index[of_old]]
            return picked

        def gather(name: str, ufunc: np.ufunc, fill: int) -> Array:
            values = np.full(count, fill, old[name].dtype)
            values[of_bars] = old[name]
            if name in rows:
                ufunc.at(values, of_rows, rows[name])
            return values

        counts, trades = np.bincount(of_rows, minlength=count), gather("trades", np.add, 0)
        if "trades" not in rows:
            trades += counts
        flags = np.zeros(count, "i8")
        flags[of_bars] = old["flags"]
        some, every = (int(ufunc.reduce(rows["flags"])) for ufunc in (np.bitwise_or, np.bitwise_and))
        flags[counts > 0] |= every & sum(_BITS)
        for bit in _BITS:
            if some & ~every & bit:
                flags[of_rows[rows["flags"] & bit != 0]] |= bit
        start = pick("start", rows["at"], first, opened)
        return {
            "symbol": pick("symbol", rows["symbol"], first, opened),
            "origin": pick("origin", np.array([origin]), last, closed),
            "start": start - start % self._interval,
            "open_ts": pick("open_ts", rows["ts_event"], first, opened),
            "open_px": pick("open_px", rows["open_px"], first, opened),
            "high_px": gather("high_px", np.maximum, -_FOREVER)[used],
            "low_px": gather("low_px", np.minimum, _FOREVER)[used],
            "close_ts": pick("close_ts", rows["ts_event"], last, closed),
            "close_px": pick("close_px", rows["close_px"], last, closed),
            "trades": trades[used],
            "flags": flags[used],
            "volume": gather("volume", np.add, 0)[used],
            "notional": gather("notional", np.add, 0)[used],
            "ts_recv": pick("ts_recv", rows["ts_recv"], last, closed),
            "ordinal": pick("ordinal", rows["ordinal"], last, closed),
        }

    def _columns(self, bars: Arrays, gaps: Gaps, *, final: bool) -> Columns:
        names = (
            "ts_recv",
            "ordinal",
            "start",
            "open_px",
            "high_px",
            "low_px",
            "close_px",
            "volume",
            "trades",
            "symbol",
        )
        flags, end = bars["flags"], bars["start"] + self._interval
        used = np.zeros(len(self._symbols), "i4")
        used[bars["symbol"]] = 1
        words = [self._symbols[index] for index in np.flatnonzero(used).tolist()]
        symbol = (np.cumsum(used, dtype="i4") - 1)[bars["symbol"]]
        with np.errstate(divide="ignore", invalid="ignore"):
            vwap = bars["notional"] / bars["volume"] / SCALE
        unknown = (bars["volume"] == 0) | np.isnan(bars["notional"])
        complete = flags & INCOMPLETE == 0
        if gaps:
            spans = zip(symbol.tolist(), bars["start"].tolist(), end.tolist(), strict=True)
            complete &= [not gaps.touch(words[index], start, until) for index, start, until in spans]
        arrays = {name: bars[name] for name in names} | {
            "symbol": symbol,
            "ts_event": end,
            "end": end,
            "flags": (flags & KEPT | unknown * Flag.NO_VWAP).astype("i4"),
            "vwap": np.where(unknown, 0.0, vwap),
            "basis": np.zeros(len(end), "i4"),
            "revision": np.zeros(len(end), "i4"),
            "is_final": final & (flags & PROVISIONAL == 0),
            "complete": complete,
        }
        return Columns(arrays, {"symbol": words, "basis": (self._basis,)})


def _first_and_last(slots: Array, count: int, bars: Arrays, ts_event: Array) -> tuple[Array, Array]:
    """Return, of each slot, the index of what opens and of what closes it; -1 for a slot that nothing opens."""
    by_open: Array | slice = slice(None)
    by_close: Array | slice = slice(None)
    in_order = bool((ts_event[1:] >= ts_event[:-1]).all())
    if not in_order or (bars["close_ts"] > ts_event[0]).any():
        by_open = np.argsort(np.concatenate([bars["open_ts"], ts_event]), kind="stable")
        by_close = np.argsort(np.concatenate([bars["close_ts"], ts_event]), kind="stable")
    arrivals = np.arange(len(slots))
    first = np.full(count, -1)
    last = np.full(count, -1)
    # Of what is written into one slot, the last stays. Indexing with a copy is faster than with a reversed view.
    first[slots[by_open][::-1].copy()] = arrivals[by_open][::-1].copy()
    last[slots[by_close]] = arrivals[by_close]
    return first, last
