"""The command line `mdp`: one module a command, heavy imports inside of them."""

from __future__ import annotations

from market_data_pipeline.cli.app import main

__all__ = ["main"]
