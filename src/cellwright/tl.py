"""Tools on an AnnData, in place: ``adata`` first, keywords after it, as in scanpy.

Each function is made from a tool's spec: its arguments, their defaults and their documentation are
the tool's. Columns are written beside yours, and the result is kept in ``adata.uns``;
``cellwright.get`` reads it back. Preparation that a tool needs (clusters, a UMAP) is made on the
way and added too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellwright.tools.adapters.python import KEY, applied, in_place, made_function, store_result
from cellwright.tools.annotate_cells import ANNOTATE_CELLS
from cellwright.tools.ask_cell import ASK_CELL
from cellwright.tools.compare_groups import COMPARE_GROUPS
from cellwright.tools.describe_dataset import DESCRIBE_DATASET
from cellwright.tools.explain_cells import EXPLAIN_CELLS
from cellwright.tools.find_markers import FIND_MARKERS
from cellwright.tools.generate_cells import GENERATE_CELLS
from cellwright.tools.predict_drug_response import TOOL as PREDICT_DRUG_RESPONSE
from cellwright.tools.preprocess_dataset import PREPROCESS_DATASET

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "annotate",
    "ask_cell",
    "compare_groups",
    "describe",
    "drug_response",
    "explain",
    "find_markers",
    "generate",
    "preprocess",
]

describe = in_place(DESCRIBE_DATASET, "describe")
preprocess = in_place(PREPROCESS_DATASET, "preprocess")
annotate = in_place(ANNOTATE_CELLS, "annotate")
drug_response = in_place(PREDICT_DRUG_RESPONSE, "drug_response")
explain = in_place(EXPLAIN_CELLS, "explain")
find_markers = in_place(FIND_MARKERS, "find_markers")
compare_groups = in_place(COMPARE_GROUPS, "compare_groups")
ask_cell = in_place(ASK_CELL, "ask_cell")


def _generate(adata: AnnData | None = None, **args: Any) -> AnnData:
    import anndata

    with applied(GENERATE_CELLS, adata, args) as (result, bench):
        cells = anndata.read_h5ad(bench.store.path(result.cells.id))
    store_result(cells, GENERATE_CELLS, result, KEY)
    return cells


generate = made_function(
    _generate,
    GENERATE_CELLS,
    "generate",
    own={},
    returns="The synthetic cells, a new AnnData; ``adata`` only says of which species.",
)
