"""The graph as ``langgraph.json`` names it; the server brings its own checkpointer."""

from cellwright.agent.graph import make_graph

graph = make_graph()
