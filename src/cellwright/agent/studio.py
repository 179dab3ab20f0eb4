"""The graph as ``langgraph.json`` names it: for ``langgraph dev`` and LangGraph Platform.

The server brings its own checkpointer. Clients may name files in the server's current folder, or in
the folders of ``CELLWRIGHT_ROOTS`` (separated like PATH).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.agent.embedding import subgraph
from cellwright.tools.adapters.roots import Roots

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from cellwright.agent.embedding import Conversation, Options, Request

ROOTS = "CELLWRIGHT_ROOTS"


def make_graph() -> CompiledStateGraph[Conversation, Options, Request, Conversation]:
    """The graph for a server, made once when it starts.

    Raises:
        InputError: A folder of ``CELLWRIGHT_ROOTS`` does not exist.
    """
    named = [Path(one) for one in os.environ.get(ROOTS, "").split(os.pathsep) if one]
    return subgraph(allow=Roots.of(named).file)


graph = make_graph()
