"""Figures of salient genes: by type as a heat map, or of one label, marked by records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellwright.tools import figures
from cellwright.tools.profiles import group_profiles
from cellwright.tools.salient_genes import SalientGene
from cellwright.tools.selection import symbols

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import Series

ROW_HEIGHT = 0.155
MIN_GROUP = 3
MAX_GROUPS = 14
UNMARKED = "#B9B9B9"


@dataclass(frozen=True, kw_only=True)
class TypeMap:
    """What the heat map shows.

    Attributes:
        tops: Named genes of each type, most salient first.
        scores: Saliency of genes for each type; a gene that is left out has 0.
        marks: Genes with a marker record for each type.
        title: What is shown.
    """

    tops: Mapping[str, Sequence[str]]
    scores: Mapping[str, Mapping[str, float]]
    marks: Mapping[str, AbstractSet[str]]
    title: str


def saliency_map(content: TypeMap, *, dpi: int = figures.DPI) -> Figure:
    """Genes by types: colour is saliency, a dot says that a marker record ties it to the type.

    Genes stand in the block of the type that names them, and are marked for that type; the blocks
    stand in two halves side by side.
    """
    from matplotlib.figure import Figure

    tops, scores, marks = content.tops, content.scores, content.marks
    types = list(tops)
    halves = _halves(tops)
    height = 2.3 + ROW_HEIGHT * max(sum(len(tops[name]) for name in half) for half in halves)
    figure = Figure(
        figsize=(len(halves) * (1.5 + 0.27 * len(types)) + 1.2, height), dpi=dpi,
        layout="constrained",
    )  # fmt: skip
    grid = figure.subplots(1, len(halves), squeeze=False)[0]
    for axes, half in zip(grid, halves, strict=True):
        rows = [(name, gene) for name in half for gene in tops[name]]
        table = np.array([[_share(scores[one], gene) for one in types] for _, gene in rows])
        axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
        for at, (name, gene) in enumerate(rows):
            if gene in marks[name]:
                column = types.index(name)
                tint = "white" if abs(table[at, column]) > 0.6 else "black"
                axes.plot(column, at, ".", color=tint, markersize=4.5, markeredgewidth=0)
        axes.set_yticks(
            range(len(rows)), [gene for _, gene in rows], fontsize=6, fontstyle="italic"
        )
        axes.set_xticks(
            range(len(types)), [figures.short(one, 28) for one in types], rotation=90, fontsize=7
        )
        for edge in np.cumsum([len(tops[name]) for name in half])[:-1]:
            axes.axhline(edge - 0.5, color="#888888", linewidth=0.6)
        axes.tick_params(length=0)
    bar = figure.colorbar(grid[0].images[0], ax=list(grid), shrink=0.5, aspect=25, pad=0.01)
    bar.set_label("saliency (share of the type's strongest gene); dot: marker record", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    figure.suptitle(content.title, fontsize=10)
    return figure


def gene_figure(
    label: str,
    genes: Sequence[SalientGene],
    adata: AnnData,
    groups: Series | None,
    *,
    target: str,
) -> Figure:
    """Bars of saliency, coloured where a record backs the gene, beside expression by group.

    Args:
        label: The type or drug.
        genes: Its genes.
        adata: The data.
        groups: Groups of cells whose expression is shown; None for all cells as one.
        target: ``cell_type`` or ``drug``.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    height = 1.9 + 0.27 * len(genes)
    figure = Figure(figsize=(8.8, height), dpi=figures.DPI, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    at = np.arange(len(genes))
    marked = [gene.n_records > 0 or gene.is_target for gene in genes]
    tint = [figures.PALETTE[0] if one else UNMARKED for one in marked]
    left.barh(at, [gene.saliency for gene in genes], color=tint)
    left.set_yticks(at, [gene.gene for gene in genes], fontstyle="italic")
    left.invert_yaxis()
    left.set_xlabel(
        "contribution to z (negative: towards sensitive)"
        if target == "drug"
        else "saliency (share of the strongest)",
        fontsize=9,
    )
    left.axvline(0, color="#888888", linewidth=0.7)
    word = ("drug target", "other") if target == "drug" else ("marker record", "no record")
    figure.legend(
        handles=[
            Patch(color=figures.PALETTE[0], label=word[0]),
            Patch(color=UNMARKED, label=word[1]),
        ],
        frameon=False, fontsize=8, loc="outside lower left", ncols=2,
    )  # fmt: skip
    figures.plain(left)
    _heat(right, groups, genes, adata)
    what = "genes behind the response to" if target == "drug" else "genes behind"
    figure.suptitle(f"{what.capitalize()} {figures.short(label, 40)}", fontsize=11)
    return figure


def _heat(axes: Axes, groups: Series | None, genes: Sequence[SalientGene], adata: AnnData) -> None:
    if groups is None:
        import pandas as pd

        groups = pd.Series(["all cells"] * adata.n_obs, index=adata.obs_names, dtype="category")
    by_symbol = {name: at for at, name in enumerate(symbols(adata))}
    at = [by_symbol[gene.gene] for gene in genes]
    keep = groups.notna().to_numpy()
    profiles = group_profiles(adata.X[keep][:, at], groups[keep])
    counts = groups.value_counts()
    shown = [str(name) for name in counts.index if counts[name] >= MIN_GROUP]
    names = (shown or [str(name) for name in counts.index if counts[name]])[:MAX_GROUPS]
    means = np.array([profiles[name].mean_in for name in names]).T
    scaled = means / np.maximum(means.max(axis=1, keepdims=True), 1e-9)
    image = axes.imshow(scaled, cmap=figures.SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    axes.set_yticks([])
    axes.set_xticks(
        range(len(names)), [figures.short(name, 26) for name in names], rotation=45, ha="right",
        fontsize=7.5,
    )  # fmt: skip
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("mean expression\n(share of highest group)", fontsize=7.5)
    bar.ax.tick_params(labelsize=7)


def _halves(tops: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Types in two lists of about as many genes; one list where there are few types."""
    types = list(tops)
    if len(types) < 4:
        return [types]
    middle = (len(types) + 1) // 2
    return [types[:middle], types[middle:]]


def _share(scores: Mapping[str, float], gene: str) -> float:
    strongest = max((abs(value) for value in scores.values()), default=0.0)
    return float(scores.get(gene, 0.0) / strongest) if strongest > 0 else 0.0
