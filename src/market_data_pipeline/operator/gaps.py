"""What is missing from the stream: which bars are incomplete."""

from __future__ import annotations

from collections.abc import Iterable

from market_data_pipeline.model import ControlEvent, Gap, Switched

Span = tuple[int, int, frozenset[str] | None]
"""From, to (exclusive), and of which symbols; None is all of them."""


class Gaps:
    """The gaps and switches that can touch a bar which is not closed yet."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.spans: list[Span] = list(spans)

    def __bool__(self) -> bool:
        return bool(self.spans)

    def add(self, event: ControlEvent) -> None:
        """Remember a gap or switch; a gap that is filled, and any other event, takes nothing from a bar.

        An empty gap still says that something is missing there: it lasts one nanosecond.
        """
        if isinstance(event, Gap) and not event.filled:
            start, end = event.start, max(event.end, event.start + 1)
        elif isinstance(event, Switched):
            start, end = event.ts, event.ts + 1
        else:
            return
        apart = []
        for span in self.spans:
            # One span for all that a source says while it tries to come back.
            if span[2] == event.symbols and span[0] <= end and span[1] >= start:
                start, end = min(start, span[0]), max(end, span[1])
            else:
                apart.append(span)
        self.spans = [*apart, (start, end, event.symbols)]

    def touch(self, symbol: str, start: int, end: int) -> bool:
        """Say whether something of [start, end) is missing."""
        return any(
            since < end and until > start and (symbols is None or symbol in symbols)
            for since, until, symbols in self.spans
        )

    def forget(self, until: int) -> None:
        """Drop what cannot touch a bar that starts at `until` or later."""
        self.spans = [span for span in self.spans if span[1] > until]
