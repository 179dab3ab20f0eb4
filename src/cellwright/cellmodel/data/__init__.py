"""Cells as the model sees them: declared files, aligned blocks, splits."""
