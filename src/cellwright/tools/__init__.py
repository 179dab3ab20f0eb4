"""The tools: typed functions over cells, each declared once in a ``ToolSpec``."""
