"""Results that ``cellwright.tl`` has kept in an AnnData, and facts from the knowledge base."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cellwright.agent.claims import citations
from cellwright.agent.shown import Finding, Picture
from cellwright.errors import InputError, ToolError
from cellwright.tools.adapters.python import (
    KEY,
    applied,
    kept,
    made_function,
    stored_result,
)
from cellwright.tools.match_markers import MATCH_MARKERS
from cellwright.tools.search_knowledge import SEARCH_KNOWLEDGE
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

    from cellwright.tools.spec import ToolResult, ToolSpec

__all__ = [
    "annotation",
    "comparison",
    "description",
    "drug_response",
    "evidence",
    "explanation",
    "generation",
    "knowledge",
    "markers",
    "matching_cell_types",
    "result",
]


def result(adata: AnnData, tool: str, *, key: str = KEY) -> Finding:
    """What a tool found, kept in ``adata.uns`` by the function of ``cellwright.tl`` that ran it.

    Args:
        adata: Cells by genes.
        tool: Name of the tool, such as ``annotate_cells``.
        key: The ``key_added`` that it was given.

    Raises:
        ToolError: No tool has this name.
        InputError: The AnnData has no such result.
    """
    spec = Workbench.spec(tool)
    return _finding(spec, stored_result(adata, spec, key))


def _of(tool: str, made_by: str) -> Callable[..., Finding]:
    def read(adata: AnnData, *, key: str = KEY) -> Finding:
        return result(adata, tool, key=key)

    read.__name__ = read.__qualname__ = made_by
    read.__doc__ = f"What ``tl.{made_by}`` has found, kept under ``key``."
    return read


description = _of("describe_dataset", "describe")
annotation = _of("annotate_cells", "annotate")
drug_response = _of("predict_drug_response", "drug_response")
explanation = _of("explain_cells", "explain")
markers = _of("find_markers", "find_markers")
comparison = _of("compare_groups", "compare_groups")
generation = _of("generate_cells", "generate")


def evidence(adata: AnnData, *, key: str = KEY) -> DataFrame:
    """Every database record that the kept results cite: text, source, record, release, PMIDs.

    Args:
        adata: Cells by genes.
        key: The ``key_added`` that the tools were given.

    Raises:
        InputError: The AnnData has no results.
    """
    import pandas as pd

    found = adata.uns.get(key)
    if not isinstance(found, Mapping):
        msg = f"uns[{key!r}] has no results: run a function of cellwright.tl on this AnnData first."
        raise InputError(msg)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for tool, text in found.items():
        for one in citations(json.loads(str(text))):
            rows.setdefault((one["source"], one["record_id"]), {"tool": tool, **one})
    return pd.DataFrame(list(rows.values()))


def _looked_up(spec: ToolSpec[Any, Any], name: str) -> Any:
    def look_up(adata: AnnData | None = None, **args: Any) -> Finding:
        with applied(spec, adata, args) as (found, _bench):
            return _finding(spec, found)

    return made_function(look_up, spec, name, own={}, returns="What was found.")


knowledge = _looked_up(SEARCH_KNOWLEDGE, "knowledge")
matching_cell_types = _looked_up(MATCH_MARKERS, "matching_cell_types")


def _finding(spec: ToolSpec[Any, Any], found: ToolResult) -> Finding:
    store, figures = kept(), []
    for ref in found.figures:
        try:
            figures.append(Picture(store.path(ref.id), ref.summary))
        except ToolError:
            continue  # made on another machine, or the cache was emptied
    return Finding(spec.title, found, tuple(figures))
