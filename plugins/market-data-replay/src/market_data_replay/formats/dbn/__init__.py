"""Databento's binary files, DBN, read with the package of the extra `dbn`."""

from __future__ import annotations

from market_data_replay.formats.dbn.files import DBN

__all__ = ["DBN"]
