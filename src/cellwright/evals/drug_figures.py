"""Figures of the drug transfer: families side by side, and predicted against measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellwright.evals import pictures
from cellwright.evals.drug_cells import LINES
from cellwright.evals.metrics import spearman
from cellwright.evals.task import OURS

if TYPE_CHECKING:
    from cellwright.evals.drug_cells import LineCells
    from cellwright.evals.task import EvalRow

OWN, OTHER = "#0072B2", "#BDBDBD"
PANELS = (
    ("5-fold over lines", "gdsc", "spearman_within_drug"),
    ("leave one site out", "gdsc", "spearman_within_drug"),
    ("5-fold over lines", "gdsc", "spearman_over_drugs"),
    (
        "held-out lines, pseudobulk",
        "mixology_celseq2_5cl_p1, all lines",
        "spearman_over_drugs",
    ),
)


def draw_families(rows: Sequence[EvalRow], folder: Path) -> Path:
    """Bars of every system in four views, ours first, with the range that the row states."""
    figure, grid = pictures.new_figure(11, 6.4, rows=2, columns=2)
    for axes, (split, data, metric) in zip(grid.flat, PANELS, strict=True):
        mine = [r for r in rows if (r.split, r.data, r.metric) == (split, data, metric)]
        mine.sort(key=lambda row: (row.system != OURS, -row.mean))
        for at, row in enumerate(mine):
            axes.barh(at, row.mean, color=OWN if row.system == OURS else OTHER, height=0.7)
            axes.plot([row.low, row.high], [at, at], color="#333333", linewidth=1)
        axes.set_yticks(range(len(mine)), [row.system for row in mine], fontsize=8)
        axes.invert_yaxis()
        axes.axvline(0, color="#333333", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="x", labelsize=8)
        words = metric.replace("_", " ").replace("spearman", "Spearman")
        axes.set_title(f"{words}\n{data}: {split}", fontsize=9)
    return pictures.save(figure, folder, "drug-transfer-families")


def draw_held_out(
    found: tuple[LineCells, np.ndarray],
    measured: Mapping[str, np.ndarray],
    drugs: Sequence[str],
    folder: Path,
) -> Path:
    """Predicted against measured z of every drug, one panel for each held-out line."""
    cells, z = found
    figure, grid = pictures.new_figure(2.5 * len(cells.groups), 3.0, columns=len(cells.groups))
    for axes, group, guess in zip(grid.flat, cells.groups, z, strict=True):
        truth = measured[LINES[group]]
        axes.axhline(0, color="#dddddd", linewidth=0.8)
        axes.axvline(0, color="#dddddd", linewidth=0.8)
        axes.scatter(guess, truth, s=5, color=OWN, alpha=0.5, linewidths=0)
        known = np.flatnonzero(np.isfinite(truth))
        lowest = known[truth[known].argmin()]
        axes.annotate(drugs[lowest], (guess[lowest], truth[lowest]), fontsize=6, color="#555555")
        axes.set_title(f"{group}, rho {spearman(truth, guess):.2f}", fontsize=9)
        axes.set_xlabel("predicted z", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    grid.flat[0].set_ylabel("measured z of ln IC50", fontsize=8)
    figure.suptitle(f"{cells.file}: lines that no fit has seen, {len(drugs)} drugs", fontsize=9)
    return pictures.save(figure, folder, "drug-transfer-held-out")
