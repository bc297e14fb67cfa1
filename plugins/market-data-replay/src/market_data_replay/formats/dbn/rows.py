"""From the vendor's records to our rows. Its prices are int at 1e-9, as ours are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model import MAX_PX, Bar, Flag, Kind, Origin, Quote, Row, Side, Trade
from market_data_replay.formats.contract import UNSTAMPED
from market_data_replay.formats.dbn.symbols import Symbols

ORIGIN = Origin("databento", "replay", UNSTAMPED, "live")
NO_PRICE = 2**63 - 1
NO_TIME = 2**64 - 1
NO_SIZE = 2**32 - 1
_SNAPSHOT = 32
_SECOND = 1_000_000_000
_INTERVALS = {32: _SECOND, 33: 60 * _SECOND, 34: 3_600 * _SECOND, 35: 86_400 * _SECOND, 36: 86_400 * _SECOND}
"""By the number of the record's type."""
_SIDES: dict[str, Side] = {"A": "sell", "B": "buy"}
"""Which side of the book the aggressor was on."""

KINDS: dict[str, frozenset[Kind]] = {
    "trades": frozenset({"trade"}),
    **dict.fromkeys(("mbp-1", "mbp-10", "tbbo", "cmbp-1", "tcbbo"), frozenset[Kind]({"quote", "trade"})),
    **dict.fromkeys(("bbo-1s", "bbo-1m", "cbbo-1s", "cbbo-1m"), frozenset[Kind]({"quote"})),
    **dict.fromkeys(("ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d", "ohlcv-eod"), frozenset[Kind]({"bar"})),
}
"""What rows the records of a schema become."""


class Maker:
    """Makes rows of records."""

    def __init__(self, library: Any, symbols: Symbols) -> None:
        self._symbols = symbols
        self._makers: dict[type, Callable[[Any], Iterator[Row]]] = {
            library.TradeMsg: self._trade,
            library.BBOMsg: self._sampled,
            library.CBBOMsg: self._sampled,
            library.OHLCVMsg: self._bar,
            **dict.fromkeys((library.MBP1Msg, library.MBP10Msg, library.CMBP1Msg), self._update),
            **dict.fromkeys((library.SymbolMappingMsg, library.SymbolMappingMsgV1), self._learn),
        }

    def make(self, record: Any) -> Iterator[Row]:
        """Make the rows of a record.

        Returns:
            Its rows; none if it is neither quotes, trades nor bars.

        Raises:
            MalformedMessage: It lacks what such a row has, or a price is beyond the bound.
        """
        maker = self._makers.get(type(record))
        return iter(()) if maker is None else maker(record)

    def _learn(self, record: Any) -> Iterator[Row]:
        self._symbols.learn(record)
        yield from ()

    def _update(self, record: Any) -> Iterator[Row]:
        """The best bid and offer, and, behind it, the trade; no trade has changed the book yet when it is told."""
        yield self._quote(record, *_times(record))
        if record.action == "T":
            yield from self._trade(record)

    def _sampled(self, record: Any) -> Iterator[Row]:
        """The best bid and offer at the end of an interval; `ts_event` of the record is that of the last trade."""
        yield self._quote(record, record.ts_recv, record.ts_recv, int(Flag.TS_EVENT_IS_RECV))

    def _quote(self, record: Any, ts_event: int, ts_recv: int, flags: int) -> Quote:
        level = record.levels[0]
        bid, ask = _px(level.bid_px), _px(level.ask_px)
        return Quote(
            self._symbols.of(record.instrument_id, ts_recv),
            ts_event,
            ts_recv,
            0,
            flags | _snapshot(record),
            ORIGIN,
            bid,
            ask,
            None if bid is None else _size(level.bid_sz),
            None if ask is None else _size(level.ask_sz),
        )

    def _trade(self, record: Any) -> Iterator[Row]:
        ts_event, ts_recv, flags = _times(record)
        px = _px(record.price)
        if px is None:
            raise MalformedMessage("a trade without a price")
        symbol = self._symbols.of(record.instrument_id, ts_recv)
        side = _SIDES.get(record.side)
        yield Trade(symbol, ts_event, ts_recv, 0, flags | _snapshot(record), ORIGIN, px, _size(record.size), side=side)

    def _bar(self, record: Any) -> Iterator[Row]:
        start = record.ts_event
        end = start + _INTERVALS[int(record.rtype)]
        opened, high, low, close = (_px(px) for px in (record.open, record.high, record.low, record.close))
        if opened is None or high is None or low is None or close is None or start == NO_TIME:
            raise MalformedMessage("a bar without a time or a price")
        yield Bar(
            self._symbols.of(record.instrument_id, start),
            end,
            end,
            0,
            int(Flag.TS_RECV_IS_EVENT),
            ORIGIN,
            start,
            end,
            opened,
            high,
            low,
            close,
            float(record.volume),
            None,
            0,
        )


def _times(record: Any) -> tuple[int, int, int]:
    """Return `ts_event`, `ts_recv` and the flag that says which of them stands for the other."""
    event, recv = record.ts_event, record.ts_recv
    if event == recv == NO_TIME:
        raise MalformedMessage("a record without a time")
    if event == NO_TIME:
        return recv, recv, int(Flag.TS_EVENT_IS_RECV)
    if recv == NO_TIME:
        return event, event, int(Flag.TS_RECV_IS_EVENT)
    return event, recv, 0


def _px(px: int) -> int | None:
    if px == NO_PRICE:
        return None
    if abs(px) > MAX_PX:
        raise MalformedMessage(f"{px} billionths are beyond the bound of a price")
    return px


def _size(size: int) -> float | None:
    return None if size == NO_SIZE else float(size)


def _snapshot(record: Any) -> int:
    return int(Flag.SNAPSHOT) if int(record.flags) & _SNAPSHOT else 0
