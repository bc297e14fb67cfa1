"""Recorded market data through the same contract as live."""
