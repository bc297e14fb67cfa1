"""What flows through a pipeline: rows, batches, control events; and the helpers for prices and times."""

from __future__ import annotations

from market_data_pipeline.model.batch import BATCHES, BarBatch, Batch, QuoteBatch, TradeBatch, concat
from market_data_pipeline.model.chain import OptionChain
from market_data_pipeline.model.events import (
    END_OF_TIME,
    Connected,
    ControlEvent,
    Diverted,
    Gap,
    Refused,
    SourceState,
    StreamItem,
    Switched,
    Watermark,
)
from market_data_pipeline.model.history import History
from market_data_pipeline.model.instrument import AssetClass, Instrument
from market_data_pipeline.model.option import OptionQuote, Right
from market_data_pipeline.model.price import MAX_PX, SCALE, to_decimal, to_float, to_px, to_text
from market_data_pipeline.model.rows import Bar, Basis, Flag, Kind, Mode, Origin, Quote, Row, Side, Trade
from market_data_pipeline.model.times import TimeLike, format_interval, parse_interval, parse_time

__all__ = [
    "BATCHES",
    "END_OF_TIME",
    "MAX_PX",
    "SCALE",
    "AssetClass",
    "Bar",
    "BarBatch",
    "Basis",
    "Batch",
    "Connected",
    "ControlEvent",
    "Diverted",
    "Flag",
    "Gap",
    "History",
    "Instrument",
    "Kind",
    "Mode",
    "OptionChain",
    "OptionQuote",
    "Origin",
    "Quote",
    "QuoteBatch",
    "Refused",
    "Right",
    "Row",
    "Side",
    "SourceState",
    "StreamItem",
    "Switched",
    "TimeLike",
    "Trade",
    "TradeBatch",
    "Watermark",
    "concat",
    "format_interval",
    "parse_interval",
    "parse_time",
    "to_decimal",
    "to_float",
    "to_px",
    "to_text",
]
