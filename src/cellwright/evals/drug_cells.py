"""Single-cell files of the held-out lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellwright.evals.drug_inputs import cp10k

#: Lines as the single-cell files name them, and as the screen's expression table does.
LINES = {
    "H1975": "NCIH1975",
    "H2228": "NCIH2228",
    "HCC827": "HCC827",
    "A549": "A549",
    "H838": "NCIH838",
}


@dataclass(frozen=True, kw_only=True)
class LineCells:
    """A single-cell file of lines.

    Attributes:
        file: Its name.
        linear: (B, G) CSR, CP10k.
        keys: Vocabulary keys of the G genes.
        labels: (B,) line of each cell.
        groups: Lines that the screen has.
    """

    file: str
    linear: Any
    keys: list[str | None]
    labels: np.ndarray
    groups: list[str]

    def of(self, group: str) -> np.ndarray:
        """Cells of a line."""
        return np.flatnonzero(self.labels == group)


def read_cells(path: Path, keys_of: Callable[[list[str]], list[str | None]]) -> LineCells:
    """Read a file whose ``cell_type`` names the line of each cell."""
    import anndata

    adata = anndata.read_h5ad(path)
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    return LineCells(
        file=path.stem,
        linear=cp10k(adata.X),
        keys=keys_of([str(name) for name in adata.var_names]),
        labels=labels,
        groups=[group for group in sorted(set(labels)) if group in LINES],
    )


def pooled(linear: Any, picks: Sequence[np.ndarray]) -> np.ndarray:
    """log1p of the mean CP10k over each pick of cells: (picks, G)."""
    return np.log1p(np.vstack([np.asarray(linear[pick].mean(axis=0)).ravel() for pick in picks]))
