"""The heat map of salient genes by type, with marks where a marker record says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellwright.tools import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW_HEIGHT = 0.155


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
