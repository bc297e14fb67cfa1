"""What the provider can do."""

from __future__ import annotations

from market_data_pipeline.contracts import Capabilities

CAPABILITIES = Capabilities(
    kinds=frozenset({"quote", "trade", "bar"}),
    history=frozenset({"bar"}),
    pausable=True,
    resumable=True,
    modes=frozenset({"live", "delayed", "frozen", "backfill", "synthetic"}),
    ts_event="vendor",
)
