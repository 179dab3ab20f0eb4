"""Figures of an annotation: the map of cell types, and the table of agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellwright.tools import figures
from cellwright.tools.workbench import EMBEDDING, Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import Series

    from cellwright.artifacts import ArtifactRef

MAX_SIDE = 40


def draw_labels(adata: AnnData, column: str, bench: Workbench, *, tool: str) -> list[ArtifactRef]:
    """UMAP by cell type, where there is a UMAP."""
    key = EMBEDDING if EMBEDDING in adata.obsm else "X_umap"
    if key not in adata.obsm:
        return []
    figure, axes = figures.new_figure(8.2, 5.2)
    counts = adata.obs[column].value_counts()
    names = [str(name) for name, n in counts.items() if n]
    figures.scatter_groups(
        axes, np.asarray(adata.obsm[key])[:, :2], adata.obs[column].astype(str).to_numpy(), names
    )
    figures.finish_embedding(axes, "Cell types by Cellwright", "UMAP")
    return [figures.save(figure, bench, "UMAP coloured by annotated cell type", tool=tool)]


def draw_agreement(truth: Series, calls: Series, bench: Workbench, *, tool: str) -> ArtifactRef:
    """Heat map of the file's labels against the calls, rows summing to one."""
    import pandas as pd

    table = pd.crosstab(truth.astype(str), calls.astype(str))
    table = table.loc[table.sum(axis=1).sort_values(ascending=False).index[:MAX_SIDE]]
    table = table[table.sum(axis=0).sort_values(ascending=False).index[:MAX_SIDE]]
    order = np.argsort(table.to_numpy().argmax(axis=0), kind="stable")
    table = table.iloc[:, order]
    share = table.to_numpy() / np.maximum(table.to_numpy().sum(axis=1, keepdims=True), 1)
    figure, axes = figures.new_figure(3.6 + 0.34 * table.shape[1], 2.4 + 0.3 * table.shape[0])
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(share >= 0.05), strict=True):
        axes.text(
            column, row, f"{share[row, column]:.0%}", ha="center", va="center", fontsize=6.5,
            color="white" if share[row, column] > 0.55 else "#333333",
        )  # fmt: skip
    axes.set_xticks(
        range(table.shape[1]), [figures.short(str(name)) for name in table.columns], rotation=45,
        ha="right", fontsize=8,
    )  # fmt: skip
    axes.set_yticks(
        range(table.shape[0]), [figures.short(str(name)) for name in table.index], fontsize=8
    )
    axes.set_xlabel("called by Cellwright", fontsize=9)
    axes.set_ylabel(f"label in the file ({truth.name})", fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label("share of the label's cells", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axes.set_title("Agreement with the file's labels", fontsize=11)
    return figures.save(figure, bench, "Calls against the file's labels", tool=tool)
