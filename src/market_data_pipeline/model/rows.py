"""The rows that flow: quotes, trades and bars, and the origin that each of them points to.

Prices are int at 1e-9 (`bid_px`), or the float nearest to the exact value (`bid`). Times are int nanoseconds since the
epoch, UTC. Missing is None, never a sentinel.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntFlag
from typing import ClassVar, Literal, Protocol

import msgspec

from market_data_pipeline.model.price import SCALE, to_float

Kind = Literal["quote", "trade", "bar"]
Mode = Literal["live", "delayed", "frozen", "backfill", "synthetic"]
Basis = Literal["trade", "mid", "bid", "ask"]
Side = Literal["buy", "sell"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Flag(IntFlag):
    """What is special about a row; the bits from 1 << 16 up are set in columns only, where the value is then 0."""

    TS_EVENT_IS_RECV = 1
    """The vendor gave no time: `ts_event` is the time of receipt."""
    TS_RECV_IS_EVENT = 2
    """Nobody recorded the receipt: `ts_recv` is the time of the event."""
    INEXACT_PX = 4
    """A price had more than nine decimals and was rounded."""
    SNAPSHOT = 8
    """The state at subscription, not a change."""
    OUT_OF_ORDER = 16
    """The row came after a later one of its symbol."""
    NO_BID = 1 << 16
    NO_ASK = 1 << 17
    NO_BID_SIZE = 1 << 18
    NO_ASK_SIZE = 1 << 19
    NO_SIZE = 1 << 20
    NO_VWAP = 1 << 21


ABSENT = int(Flag.NO_BID | Flag.NO_ASK | Flag.NO_BID_SIZE | Flag.NO_ASK_SIZE | Flag.NO_SIZE | Flag.NO_VWAP)
"""What columns say with a bit, and rows with None: in `flags` of a row these bits mean nothing and go no further."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where rows come from: one object per connection and mode, pointed at by its batches and their rows."""

    provider: str
    """Who said it, such as "ibkr"; the partition in files."""
    source: str
    """Who handed it over here: the provider's name, or "replay"."""
    epoch: int
    """The generation of the connection; never reused, not after a restart either."""
    mode: Mode


class Row(msgspec.Struct, frozen=True, gc=False):
    """What every row has. A tick's identity is `(origin.provider, origin.epoch, kind, ordinal)`.

    Rows hold scalars and their Origin only (no path back to a batch), which is what makes `gc=False` safe.
    """

    kind: ClassVar[Kind]

    symbol: str
    """The very string that the caller asked for."""
    ts_event: int
    """When it happened; of a bar, its end."""
    ts_recv: int
    """When it arrived here; of a bar, when the last row in it did."""
    ordinal: int
    """Grows by at least one per row within one provider and epoch; of a bar, that of the last row in it."""
    flags: int
    """Bits of `Flag`."""
    origin: Origin

    @property
    def timestamp(self) -> datetime:
        """`ts_event` as an aware datetime in UTC, to the microsecond."""
        return _EPOCH + timedelta(microseconds=self.ts_event // 1000)

    @property
    def source(self) -> str:
        """Who handed the row over: `origin.source`."""
        return self.origin.source


class _Sides(Protocol):
    @property
    def bid_px(self) -> int | None: ...
    @property
    def ask_px(self) -> int | None: ...


class Sided:
    """The sides of a market as floats, for what has them as exact prices; a missing side is None."""

    __slots__ = ()

    @property
    def bid(self: _Sides) -> float | None:
        """The bid, in units of the quote currency."""
        return None if self.bid_px is None else to_float(self.bid_px)

    @property
    def ask(self: _Sides) -> float | None:
        """The ask, in units of the quote currency."""
        return None if self.ask_px is None else to_float(self.ask_px)

    @property
    def mid(self: _Sides) -> float | None:
        """Half way between bid and ask; None where a side is missing."""
        return None if self.bid_px is None or self.ask_px is None else (self.bid_px + self.ask_px) / (2 * SCALE)


class Quote(Row, Sided, frozen=True, gc=False):
    """The best bid and offer at a time; a missing side is None."""

    kind: ClassVar[Kind] = "quote"

    bid_px: int | None
    ask_px: int | None
    bid_size: float | None
    ask_size: float | None

    @property
    def spread(self) -> float | None:
        """Ask less bid; None where a side is missing."""
        return None if self.bid_px is None or self.ask_px is None else to_float(self.ask_px - self.bid_px)

    @property
    def price(self) -> float | None:
        """The mid, under the name that programs for the earlier system use."""
        return self.mid

    @property
    def size(self) -> float | None:
        """Bid size plus ask size; None where a side is missing."""
        return None if self.bid_size is None or self.ask_size is None else self.bid_size + self.ask_size


class Trade(Row, frozen=True, gc=False):
    """One print."""

    kind: ClassVar[Kind] = "trade"

    px: int
    size: float | None
    trade_id: str | None = None
    side: Side | None = None
    """The side of the aggressor."""
    conditions: str | None = None
    """The vendor's codes, joined by ","."""

    @property
    def price(self) -> float:
        """The price, in units of the quote currency."""
        return to_float(self.px)


class Bar(Row, frozen=True, gc=False):
    """Open, high, low and close of the half-open interval [start, end); an interval without a row has no bar.

    Its identity is (symbol, start, end, basis, revision).
    """

    kind: ClassVar[Kind] = "bar"

    start: int
    end: int
    open_px: int
    high_px: int
    low_px: int
    close_px: int
    volume: float
    """The sizes of its rows, added from left to right in row order."""
    vwap: float | None
    trades: int
    """How many rows it was made from; of a bar made from bars, the sum of theirs."""
    basis: Basis = "trade"
    revision: int = 0
    is_final: bool = True
    """Closed by the watermark; False is provisional."""
    complete: bool = True
    """No Gap or Switched touched [start, end)."""

    @property
    def open(self) -> float:
        """The first price, in units of the quote currency."""
        return to_float(self.open_px)

    @property
    def high(self) -> float:
        """The highest price."""
        return to_float(self.high_px)

    @property
    def low(self) -> float:
        """The lowest price."""
        return to_float(self.low_px)

    @property
    def close(self) -> float:
        """The last price."""
        return to_float(self.close_px)
