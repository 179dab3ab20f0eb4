"""Figures of response labels: cells by truth and by prediction, and the confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellwright.evals import pictures

COMPONENTS = 30
GREY = "#D9D9D9"
SHADES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is drawn.

    Attributes:
        name: Short name of the set.
        system: Whose predictions they are.
        matrix: (B, G) csr of all cells, which the map is made of.
        labels: (B,) true labels.
        test: Held-out cells.
        guess: Predicted label of each held-out cell.
    """

    name: str
    system: str
    matrix: Any
    labels: np.ndarray
    test: np.ndarray
    guess: np.ndarray


def draw_response(shown: Shown, folder: Path) -> Path:
    """UMAP by truth and by prediction, training cells grey, and the confusion matrix."""
    figure, grid = pictures.new_figure(11.5, 3.9, columns=3)
    points = _umap(shown.matrix)
    names = sorted(set(shown.labels) | set(shown.guess))
    palette = {name: SHADES[at % len(SHADES)] for at, name in enumerate(names)}
    others = np.setdiff1d(np.arange(len(points)), shown.test)
    truth = shown.labels[shown.test]
    for axes, labels, title in (
        (grid[0, 0], truth, "held-out cells, truth"),
        (grid[0, 1], shown.guess, f"held-out cells, {shown.system}"),
    ):
        axes.scatter(*points[others].T, c=GREY, s=6, linewidths=0)
        pictures.scatter(axes, points[shown.test], list(labels), palette, title)
        axes.title.set_fontsize(9)
    for name in names:
        grid[0, 0].scatter([], [], color=palette[name], s=16, label=name)
    grid[0, 0].scatter([], [], color=GREY, s=16, label="other cells")
    grid[0, 0].legend(fontsize=6, frameon=False, loc="best")
    pictures.confusion(grid[0, 2], list(truth), list(shown.guess), shown.system)
    figure.suptitle(shown.name, fontsize=10)
    return pictures.save(figure, folder, f"drug-labels-{shown.name}-{shown.system}")


def _umap(matrix: Any) -> np.ndarray:
    import scanpy as sc
    from anndata import AnnData
    from sklearn.decomposition import TruncatedSVD

    size = min(COMPONENTS, min(matrix.shape) - 1)
    adata = AnnData(TruncatedSVD(n_components=size, random_state=0).fit_transform(matrix))
    sc.pp.neighbors(adata, n_neighbors=min(15, len(adata) - 1), use_rep="X", random_state=0)
    sc.tl.umap(adata, random_state=0)
    return np.asarray(adata.obsm["X_umap"])
