"""Ask single-cell RNA-seq data in plain language, and get an answer that can be checked."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cellwright.agent.session import ask as ask
    from cellwright.tools.workbench import Workbench as Workbench

__version__ = "0.2.0"
__all__ = ["Workbench", "__version__", "ask"]

_LAZY = {"ask": "cellwright.agent.session", "Workbench": "cellwright.tools.workbench"}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that ``import cellwright`` stays quick."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    msg = f"module 'cellwright' has no attribute {name!r}"
    raise AttributeError(msg)
