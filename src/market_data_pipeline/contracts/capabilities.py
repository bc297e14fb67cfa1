"""What a provider or source can do, as data: one object drives routing, admission and the conformance kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from market_data_pipeline.model import Kind, Mode


@attrs.frozen(kw_only=True)
class Capabilities:
    """Declared means tested; what is not declared raises `CapabilityNotSupported`."""

    kinds: frozenset[Kind] = frozenset()
    """What it streams."""
    history: frozenset[Kind] = frozenset()
    """What it has a history of."""
    option_chain: bool = False
    """Whether it has option chains."""
    resolve: bool = False
    """Whether it can tell what a symbol stands for."""
    unbounded: bool = False
    """True: the end of the stream is a failure. False: its end is its end."""
    pausable: bool = False
    """True: it waits without loss while nobody reads, as a file does."""
    resumable: bool = False
    """True: it can go on after a `Batch.position`."""
    modes: frozenset[Mode] = frozenset({"live"})
    ts_event: Literal["exchange", "vendor", "receive"] = "receive"
    """Whose clock stamps `ts_event`."""
    resolution_ns: int = 1
    """How fine `ts_event` is."""
    held: Mapping[str, int] = attrs.field(factory=dict)
    """Limits that are held while in use: {"lines": 100, "connections": 1}."""
