"""A file annotated block by block: memory grows with the block, not with the number of cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from cellwright.cellmodel.data.block import State, make_block
from cellwright.cellmodel.inference import Annotation, CellModel
from cellwright.errors import InputError

BLOCK = 2048


@dataclass(frozen=True, kw_only=True)
class AnnotatedBlock:
    """The answer on a run of cells.

    Attributes:
        start: Position of the first cell in the file.
        cells: Names of the cells.
        annotation: What the model says of them.
    """

    start: int
    cells: tuple[str, ...]
    annotation: Annotation


def stream(
    model: CellModel,
    path: Path,
    keys_of: Callable[[Sequence[str]], Sequence[str | None]],
    state: State,
    *,
    candidates: Sequence[str] | None = None,
    species: str | None = None,
    tissue: str | None = None,
    layer: str | None = None,
    block: int = BLOCK,
    start: int = 0,
) -> Iterator[AnnotatedBlock]:
    """Annotate the cells of an ``.h5ad`` whose matrix stays on disk.

    Args:
        model: The model.
        path: The file; its matrix is CSR or dense.
        keys_of: Vocabulary keys of gene names.
        state: What the matrix holds.
        candidates: Labels to choose from; None takes the model's own.
        species: Keeps the types of a species.
        tissue: Keeps the types of a tissue.
        layer: Layer to read; None takes X.
        block: Cells at once.
        start: Cell to start at, to go on where an earlier run ended.

    Raises:
        InputError: The matrix is stored by columns: rows of it cannot be read without all of it.
    """
    import anndata

    adata = anndata.read_h5ad(path, backed="r")
    try:
        matrix: Any = adata.layers[layer] if layer else adata.X
        if getattr(matrix, "format", "csr") != "csr":
            msg = f"{path.name} stores its matrix by columns; convert it to CSR to stream it."
            raise InputError(msg)
        keys = keys_of([str(name) for name in adata.var_names])
        names = np.asarray(adata.obs_names, dtype=object)
        for at in range(start, adata.n_obs, block):
            rows = sparse.csr_matrix(matrix[at : at + block])
            cells = make_block(rows, keys, model.vocabulary, state)
            found = model.annotate(cells, candidates=candidates, species=species, tissue=tissue)
            yield AnnotatedBlock(start=at, cells=tuple(names[at : at + block]), annotation=found)
    finally:
        adata.file.close()
