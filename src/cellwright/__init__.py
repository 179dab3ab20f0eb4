"""Ask single-cell RNA-seq data in plain language, and get an answer that can be checked."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cellwright import get as get
    from cellwright import pl as pl
    from cellwright import tl as tl
    from cellwright.agent.embedding import agent_tool as agent_tool
    from cellwright.agent.embedding import subgraph as subgraph
    from cellwright.agent.session import ask as ask
    from cellwright.assistant import Assistant as Assistant
    from cellwright.tools.adapters.langchain import langchain_tools as langchain_tools
    from cellwright.tools.workbench import Workbench as Workbench

__version__ = "0.2.0"
_LAZY = {
    "Assistant": "cellwright.assistant",
    "Workbench": "cellwright.tools.workbench",
    "agent_tool": "cellwright.agent.embedding",
    "ask": "cellwright.agent.session",
    "langchain_tools": "cellwright.tools.adapters.langchain",
    "subgraph": "cellwright.agent.embedding",
}
_MODULES = ("get", "pl", "tl")
__all__ = [
    "Assistant",
    "Workbench",
    "__version__",
    "agent_tool",
    "ask",
    "get",
    "langchain_tools",
    "pl",
    "subgraph",
    "tl",
]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that ``import cellwright`` stays quick."""
    if name in _MODULES:
        return import_module(f"cellwright.{name}")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    msg = f"module 'cellwright' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
