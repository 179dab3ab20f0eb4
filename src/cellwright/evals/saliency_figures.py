"""Figures of the saliency suite: genes by type with marks, and the curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cellwright.evals import pictures
from cellwright.evals.faithfulness import SHARES
from cellwright.evals.task import OURS
from cellwright.tools.saliency_figure import TypeMap, saliency_map

Curves = Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
"""Curves ``(B, steps)`` by data set, system and kind (``deletion``, ``insertion``)."""

COLOURS = {
    OURS: "#0072B2",
    f"{OURS}-input-x-gradient": "#56B4E9",
    f"{OURS}-gradient": "#009E73",
    "above-average-order": "#E69F00",
    "expression-order": "#CC79A7",
    "random-order": "#777777",
}


def draw_types(content: TypeMap, folder: Path, name: str) -> Path:
    """The heat map of the top genes of each type, after figure 6 of InstructCell."""
    return pictures.save(saliency_map(content, dpi=pictures.DPI), folder, name)


def draw_curves(curves: Curves, folder: Path) -> Path:
    """Deletion above, insertion below, one column for each data set."""
    figure, grid = pictures.new_figure(3.1 * len(curves) + 1.5, 5.2, rows=2, columns=len(curves))
    places = np.arange(len(SHARES) + 1)
    names = [f"{share:.1%}" if share < 0.01 else f"{share:.0%}" for share in SHARES]
    for column, (data, systems) in enumerate(curves.items()):
        for row, kind in enumerate(("deletion", "insertion")):
            axes = grid[row, column]
            for system, kinds in systems.items():
                axes.plot(
                    places, kinds[kind].mean(axis=0), color=COLOURS.get(system, "black"),
                    label=system, linewidth=1.3,
                )  # fmt: skip
            ticks = ["0", *names] if kind == "deletion" else [*names, "100%"]
            axes.set_xticks(places, ticks, fontsize=6, rotation=45)
            axes.set_ylim(0, 1.02)
            axes.tick_params(axis="y", labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
            verb = "removed" if kind == "deletion" else "given alone"
            axes.set_xlabel(f"share of expressed genes {verb}", fontsize=7)
            if row == 0:
                axes.set_title(data, fontsize=8)
            if column == 0:
                axes.set_ylabel("probability of the label", fontsize=7)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7, frameon=False, loc="outside right center")
    return pictures.save(figure, folder, "saliency-curves")
