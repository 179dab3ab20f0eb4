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
    figure, grid = pictures.new_figure(11.5, 3.6, columns=3)
    points = _umap(shown.matrix)
    drug, short = _without_prefix(shown.labels)
    truth = [short[label] for label in shown.labels[shown.test]]
    guess = [short.get(label, str(label)) for label in shown.guess]
    names = sorted({*short.values(), *guess})
    palette = {name: SHADES[at % len(SHADES)] for at, name in enumerate(names)}
    others = np.setdiff1d(np.arange(len(points)), shown.test)
    for axes, labels, title in (
        (grid[0, 0], truth, "held-out cells, truth"),
        (grid[0, 1], guess, f"held-out cells, {shown.system}"),
    ):
        axes.scatter(*points[others].T, c=GREY, s=6, linewidths=0)
        pictures.scatter(axes, points[shown.test], labels, palette, title)
        axes.title.set_fontsize(9)
    for name in names:
        grid[0, 1].scatter([], [], color=palette[name], s=16, label=name)
    grid[0, 1].scatter([], [], color=GREY, s=16, label="other cells")
    grid[0, 1].legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    pictures.confusion(grid[0, 2], truth, guess, shown.system)
    for at, true in enumerate(sorted({*truth, *guess})):
        for column, said in enumerate(sorted({*truth, *guess})):
            n = sum(pair == (true, said) for pair in zip(truth, guess, strict=True))
            grid[0, 2].text(column, at, n, ha="center", va="center", color="#E69F00", fontsize=9)
    grid[0, 2].tick_params(axis="x", labelrotation=0)
    figure.suptitle(f"{shown.name}: response to {drug}", fontsize=10)
    return pictures.save(figure, folder, f"drug-labels-{shown.name}-{shown.system}")


def _without_prefix(labels: np.ndarray) -> tuple[str, dict[str, str]]:
    """The words that all labels begin with, and what is left of each."""
    names = sorted(set(labels))
    words = [name.split() for name in names]
    shared = 0
    while all(len(one) > shared + 1 and one[shared] == words[0][shared] for one in words):
        shared += 1
    rest = (" ".join(one[shared:]) for one in words)
    return " ".join(words[0][:shared]), dict(zip(names, rest, strict=True))


def _umap(matrix: Any) -> np.ndarray:
    import scanpy as sc
    from anndata import AnnData
    from sklearn.decomposition import TruncatedSVD

    size = min(COMPONENTS, min(matrix.shape) - 1)
    adata = AnnData(TruncatedSVD(n_components=size, random_state=0).fit_transform(matrix))
    sc.pp.neighbors(adata, n_neighbors=min(15, len(adata) - 1), use_rep="X", random_state=0)
    sc.tl.umap(adata, random_state=0)
    return np.asarray(adata.obsm["X_umap"])
