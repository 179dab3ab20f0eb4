"""Adapters that show the tools to the shell, to Python and to other protocols.

Every adapter calls tools through ``calling.call``, so that the same arguments give the same result
and the same error wherever they come from.
"""
