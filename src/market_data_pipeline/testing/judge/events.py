"""What a control event tells of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args, get_type_hints

from market_data_pipeline.model import (
    Connected,
    Diverted,
    Gap,
    Origin,
    Refused,
    SourceState,
    Switched,
    Watermark,
)
from market_data_pipeline.testing.judge.rows import Finding

OF_PIPELINES: Final = (Watermark, Switched, Diverted)
"""Events that no source may yield."""
REASONS: Final[tuple[str, ...]] = get_args(get_type_hints(Gap)["reason"])
STATES: Final[tuple[str, ...]] = get_args(get_type_hints(SourceState)["state"])


def event_findings(event: Any) -> Iterator[Finding]:
    """Yield what is wrong with a control event of a source: its fields may hold anything."""
    name = type(event).__name__
    source: Any = event.source
    if isinstance(event, OF_PIPELINES):
        yield "event", f"a {name}, which pipelines make"
    elif not (source and isinstance(source, str) and _is_int(event.ts)):
        yield "event", f"a {name} of source={event.source!r} at ts={event.ts!r}"
    elif not (event.symbols is None or isinstance(event.symbols, frozenset)):
        yield "event", f"a {name} whose symbols are {event.symbols!r:.60}, no frozenset and not None"
    elif isinstance(event, Connected) and type(event.origin) is not Origin:
        yield "event", f"a Connected whose origin is {event.origin!r:.60}"
    elif isinstance(event, SourceState) and event.state not in STATES:
        yield "event", f"a SourceState of {event.state!r:.60}, not one of {', '.join(STATES)}"
    elif isinstance(event, Refused) and not (event.symbols and event.error):
        yield "event", f"a Refused without its symbols or error: {event!r:.120}"
    elif isinstance(event, Gap):
        yield from _gap_findings(event)


def _gap_findings(gap: Any) -> Iterator[Finding]:
    if not (_is_int(gap.start) and _is_int(gap.end) and gap.start < gap.end):
        yield "gap", f"from {gap.start!r} to {gap.end!r}"
    if gap.reason not in REASONS:
        yield "gap", f"its reason is {gap.reason!r:.60}, not one of {', '.join(REASONS)}"
    if gap.rows is not None and not (_is_int(gap.rows) and gap.rows >= 0):
        yield "gap", f"of {gap.rows!r} rows"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
