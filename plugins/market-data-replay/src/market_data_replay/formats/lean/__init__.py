"""QuantConnect Lean's folders of zipped CSV: ASSET/MARKET/RESOLUTION/SYMBOL/YYYYMMDD_{trade,quote}.zip."""

from __future__ import annotations

from market_data_replay.formats.lean.folder import LEAN

__all__ = ["LEAN"]
