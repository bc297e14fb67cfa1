"""Synthetic quotes and trades: a pure function of seed, symbol and time."""
