"""Measures Cellwright beside its baselines; a number without its baseline is not a result."""
