"""Control events: what happened to the stream, in the stream, in order with its rows."""

from __future__ import annotations

from typing import Literal

import attrs

from market_data_pipeline.model.batch import Batch
from market_data_pipeline.model.rows import Origin, Row

END_OF_TIME = 2**63 - 1
"""The watermark of a stream that came to its own end, int ns."""


@attrs.frozen(kw_only=True)
class ControlEvent:
    """Something that happened to the stream of one source."""

    source: str
    """Whose stream."""
    ts: int
    """When it was noticed, int ns on the clock of `ts_recv`."""
    symbols: frozenset[str] | None = None
    """Which symbols; None is all of the source."""


@attrs.frozen(kw_only=True)
class Connected(ControlEvent):
    """Rows of this origin follow."""

    origin: Origin


@attrs.frozen(kw_only=True)
class Gap(ControlEvent):
    """Rows with `ts_event` in [start, end) are missing, or have now come late as "backfill" (`filled`)."""

    start: int
    end: int
    reason: Literal["disconnect", "stall", "sequence", "drop", "switch", "vendor"]
    rows: int | None = None
    """How many, where that is known."""
    filled: bool = False


@attrs.frozen(kw_only=True)
class Switched(ControlEvent):
    """Another source serves the symbols from here on."""

    old: str
    new: str
    reason: str


@attrs.frozen(kw_only=True)
class SourceState(ControlEvent):
    """The source changed its state."""

    state: Literal["connecting", "live", "degraded", "stalled", "closed"]
    reason: str = ""


@attrs.frozen(kw_only=True)
class Refused(ControlEvent):
    """These symbols cannot be served; a source raises only if none can."""

    error: str
    """The name of the error in `market_data_pipeline.errors`, and what it says."""
    code: str | None = None
    """The vendor's own code."""


@attrs.frozen(kw_only=True)
class Watermark(ControlEvent):
    """No row with an earlier `ts_event` follows. Made once, at the pipeline's entry; an operator's only time."""

    ts_event: int


@attrs.frozen(kw_only=True)
class Diverted(ControlEvent):
    """Rows put aside: late, failed or quarantined."""

    batch: Batch[Row]
    reason: str


StreamItem = Batch[Row] | ControlEvent
"""What a stream yields."""
