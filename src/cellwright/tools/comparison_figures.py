"""Figures of ``compare_groups``: composition, and genes by change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellwright.artifacts import ArtifactRef
from cellwright.tools import figures
from cellwright.tools.comparison_result import Stratum, TypeShare
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from pandas import DataFrame, Series


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The two groups: a column of groups, and the names of two of them."""

    groups: Series
    a: str
    b: str

    @property
    def is_a(self) -> np.ndarray:
        """Cells of A, ``(N,)`` bool."""
        return np.asarray(self.groups == self.a)

    @property
    def is_b(self) -> np.ndarray:
        """Cells of B, ``(N,)`` bool."""
        return np.asarray(self.groups == self.b)


def draw_composition(
    shares: tuple[TypeShare, ...], sides: Sides, bench: Workbench, *, tool: str
) -> ArtifactRef:
    """Each type's share of A beside its share of B."""
    rows = sorted(shares[:20], key=lambda row: row.share_a + row.share_b)
    figure, axes = figures.new_figure(6.4, 1.4 + 0.34 * len(rows))
    at = np.arange(len(rows))
    for offset, name, values, colour in (
        (0.19, sides.a, [row.share_a for row in rows], figures.PALETTE[1]),
        (-0.19, sides.b, [row.share_b for row in rows], figures.PALETTE[0]),
    ):
        axes.barh(at + offset, np.array(values) * 100, height=0.36, color=colour, label=name)
    axes.set_yticks(at, [figures.short(row.cell_type) for row in rows])
    axes.set_xlabel("share of cells (%)", fontsize=9)
    axes.set_title(f"Composition by {sides.groups.name}", fontsize=11)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figures.plain(axes)
    return figures.save(figure, bench, f"Composition by {sides.groups.name}", tool=tool)


def draw_volcano(
    stratum: Stratum, table: DataFrame, sides: Sides, bench: Workbench, *, alpha: float, tool: str
) -> ArtifactRef:
    """Change of each gene beside its p over donors, or beside the cells that express it."""
    figure, axes = figures.new_figure(6.2, 4.8)
    change = table["log2_fold_change"].to_numpy()
    tested = "p" in table
    height = (
        -np.log10(np.maximum(table["p"].to_numpy(), 1e-300))
        if tested
        else table[["share_a", "share_b"]].max(axis=1).to_numpy() * 100
    )
    strong = table["p_adjusted"].to_numpy() < alpha if tested else np.abs(change) > 1
    tint = np.where(strong & (change > 0), figures.PALETTE[1], figures.GREY)
    tint = np.where(strong & (change < 0), figures.PALETTE[0], tint)
    axes.scatter(change, height, c=tint, s=9, linewidths=0, rasterized=True)
    heights = dict(zip(table["gene"], height, strict=True))
    written: list[tuple[float, float]] = []
    wide, tall = np.ptp(change) * 0.12 + 1e-9, np.ptp(height) * 0.035 + 1e-9
    for one in (*stratum.up[:9], *stratum.down[:9]):
        at = (one.log2_fold_change, float(heights[one.gene]))
        if any(abs(at[0] - x) < wide and abs(at[1] - y) < tall for x, y in written):
            continue
        written.append(at)
        right = at[0] > 0
        axes.annotate(
            one.gene, at, fontsize=7.5, fontstyle="italic", xytext=(-4 if right else 4, 3),
            textcoords="offset points", ha="right" if right else "left",
        )  # fmt: skip
    axes.axvline(0, color="#999999", linewidth=0.7)
    axes.set_xlabel(f"log2 fold change, {sides.a} over {sides.b}", fontsize=9)
    axes.set_ylabel(
        "-log10 p over donors" if tested else "cells expressing, higher side (%)", fontsize=9
    )
    kind = stratum.design if tested else "effect sizes, no test"
    axes.set_title(f"{figures.short(stratum.name, 40)}: {kind}", fontsize=11)
    figures.plain(axes)
    return figures.save(figure, bench, f"Differences, {sides.a} over {sides.b}", tool=tool)
