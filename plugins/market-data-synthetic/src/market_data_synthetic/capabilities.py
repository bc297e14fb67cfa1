"""What the provider can do."""

from __future__ import annotations

from market_data_pipeline.contracts import Capabilities

CAPABILITIES = Capabilities(
    kinds=frozenset({"quote", "trade"}),
    history=frozenset({"bar"}),
    option_chain=True,
    resolve=True,
    pausable=True,
    resumable=True,
    modes=frozenset({"synthetic"}),
    ts_event="exchange",
)
"""In the source's own capabilities, a run in real time from now on is not resumable, and unbounded without a count."""
