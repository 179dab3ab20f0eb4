"""The cell language model: annotate, answer, generate, explain."""
