"""What a judge finds, and the rules that it judges by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

RULES: Final[Mapping[str, str]] = {
    "item": "yield batches and control events of market_data_pipeline.model, and nothing else",
    "type": "give each field the type that its class declares: prices are int at 1e-9 (to_px), times int nanoseconds",
    "origin": "give all rows of a batch one Origin, and rows of another one a batch of their own",
    "mode": "declare the mode in Capabilities.modes, or stamp the rows with one that is declared",
    "symbol": "yield rows of the requested symbols alone, under the very strings of the request",
    "kind": "yield rows of the requested kinds alone",
    "undeclared-kind": "declare the kind in Capabilities.kinds, or do not yield it",
    "time-order": "yield rows of a symbol in the order of ts_event, or set Flag.OUT_OF_ORDER on those that come late",
    "time-unit": "stamp rows with int nanoseconds since the epoch: multiply what the vendor counts in larger units",
    "ordinal": "count rows within a provider and epoch: each ordinal is greater than the one before",
    "epoch": "take a new epoch from services.epoch() for each connection, and never go back to an earlier one",
    "duplicate": "give each row an ordinal of its own and yield it once; of a bar that changes, raise the revision",
    "sentinel": "turn what the vendor writes for a missing value (NaN, infinity, -1) into None",
    "price-bound": "leave out prices beyond 999 999 999.999999999, or count them as malformed: to_px raises for them",
    "bar-shape": "give bars start < end == ts_event, and low <= open, close <= high",
    "faces": "build batches from whole rows or whole columns: both faces have to say the same",
    "position": "set Batch.position only where Capabilities.resumable is true",
    "event": "make control events of declared fields only, and leave Watermark, Switched and Diverted to the pipeline",
    "gap": "give a Gap a start before its end, a known reason and no negative count",
    "range": "yield bars that start in [start, end) of the request, and of its interval and basis alone",
    "contract": "return listed contracts of the underlying: a date, a positive strike, call or put",
    "filter": "return only contracts within the expiries and strikes of the request",
    "chain-order": "return contracts by expiry, strike and right, each once",
}
"""By name, what an author has to do so that the rule holds."""


@attrs.frozen(kw_only=True)
class Violation:
    """One place in which a rule is broken."""

    name: str
    """Which rule: a key of `RULES`."""
    where: str
    """Where in the stream."""
    seen: str
    """What is there."""
    advice: str
    """What to do."""

    @classmethod
    def of(cls, name: str, where: str, seen: str) -> Violation:
        """Return a violation of a rule, with the rule's advice."""
        return cls(name=name, where=where, seen=seen, advice=RULES[name])

    def __str__(self) -> str:
        return f"{self.name}: {self.where}: {self.seen}; {self.advice}"


def summary(violations: Iterable[Violation]) -> str:
    """Return the first violation of each rule, one a line, with how many more there are."""
    by_name: dict[str, list[Violation]] = {}
    for violation in violations:
        by_name.setdefault(violation.name, []).append(violation)
    return "\n".join(map(_line, by_name.values()))


def _line(same: Sequence[Violation]) -> str:
    first = same[0]
    more = f" (and {len(same) - 1} more)" if len(same) > 1 else ""
    return f"{first.name}: {first.where}: {first.seen}{more}; {first.advice}"
