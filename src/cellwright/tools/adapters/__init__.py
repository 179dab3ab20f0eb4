"""Adapters that show the tools to other protocols."""
