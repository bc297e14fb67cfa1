"""How a pipeline runs: its name, its limits and its clock."""

from __future__ import annotations

import attrs

from market_data_pipeline.channel import Policy
from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import Clock


@attrs.frozen(kw_only=True)
class PipelineContext:
    """What a pipeline needs beside its stages."""

    tenant_id: str = "default"
    pipeline_id: str = "pipeline"
    duration_sec: float | None = None
    """Stop after this many seconds."""
    count: int | None = None
    """Stop after so many rows."""
    allowed_lateness_ns: int | None = None
    """How far a row may be behind the newest one of its source and still count; None: 2 s, or what an operator allows,
    where that is more."""
    on_full: Policy | None = None
    """What happens when the source is faster than the sink; None: what the batcher says, or else "block" if it can
    pause and "drop_oldest" if not."""
    max_rows: int | None = None
    """How many rows wait between source and operators; None: what the batcher says, or else 100 000."""
    max_bytes: int = 64 * 2**20
    drain_timeout_sec: float = 20.0
    """How long a stop may take before what is left is given up and reported."""
    commit_sec: float = 60.0
    """How often the sinks of a live source commit; those of a finite one commit at its end."""
    clock: Clock = attrs.field(factory=SystemClock)
