"""What the plugin declares."""

from market_data_pipeline.contracts import Capabilities

CAPABILITIES = Capabilities(kinds=frozenset({"quote"}), unbounded=True, pausable=True, modes=frozenset({"synthetic"}))
