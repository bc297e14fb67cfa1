"""What is wrong with a stream, and where."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Violation:
    """One promise of the contract that a stream does not keep."""

    code: str
    """Which promise, such as "time-order"; `docs/reference/testing.md` lists them."""
    index: int
    """Which item of the stream, from 0."""
    symbol: str | None = None
    seen: str
    """What was there."""
    cure: str
    """What to do."""

    def __str__(self) -> str:
        of = f" of {self.symbol}" if self.symbol else ""
        return f"{self.code}: item {self.index}{of}: {self.seen}: {self.cure}"
