"""The agent: a LangGraph graph from a request and a data set to a checked report."""
