"""Readers of the official files, one module a source."""
