"""A frozen language model that reads a cell as its ranked genes, after scInterpreter.

Source of the method: arXiv 2402.12405. Each gene is a text vector; the genes of a cell, ranked by
expression, become soft tokens between an instruction and a class token, and a small head reads the
state at the class token. The language model is never trained.
"""
