"""How figures look: one palette safe for colour-blind readers, labelled, 150 dpi."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cellwright.artifacts import ArtifactRef
    from cellwright.tools.workbench import Workbench

DPI = 150
PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31", "#7A5FB5",
    "#117733", "#AA4466", "#88CCEE", "#DDCC77", "#44AA99", "#882255", "#6E7F80", "#332288",
    "#999933", "#EE8866", "#77AADD", "#555555", "#BBCC33", "#B07AA1", "#FFAABB", "#225522",
)  # fmt: skip
GREY = "#C8C8C8"
SEQUENTIAL = "BuPu"
MAX_LEGEND = 24
NAMED_SHARE = 0.01
"""Share of the cells that a group needs for its name to be written on it."""

UNASSIGNED = ("unknown", "unassigned", "nan", "n/a")


def new_figure(width: float, height: float) -> tuple[Figure, Any]:
    """A figure and its single axes, drawn without a display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.subplots()


def save(figure: Figure, bench: Workbench, summary: str, *, tool: str) -> ArtifactRef:
    """Store a figure; its metadata names no date, so equal figures are equal files."""

    def write(path: Path) -> None:
        figure.savefig(path, dpi=DPI, facecolor="white", metadata={"Software": None})

    parents = (bench.data.id,) if bench.data else ()
    return bench.store.put_file("figure", write, summary, tool=tool, parents=parents)


def colours(names: Sequence[str]) -> dict[str, Any]:
    """A colour for each category; unknown cells are grey."""
    from matplotlib import colormaps

    known = [name for name in names if name.casefold() not in UNASSIGNED]
    if len(known) <= len(PALETTE):
        chosen: dict[str, Any] = dict(zip(known, PALETTE, strict=False))
    else:
        spread = colormaps["turbo"](np.linspace(0.03, 0.97, len(known)))
        chosen = dict(zip(known, spread, strict=True))
    return {name: chosen.get(name, GREY) for name in names}


def scatter_groups(
    axes: Axes, points: np.ndarray, groups: np.ndarray, names: Sequence[str]
) -> None:
    """Scatter cells by group, names written on the groups and beside the plot.

    Args:
        axes: Where to draw.
        points: (B, 2) coordinates.
        groups: (B,) group of each cell.
        names: Groups in the order of the legend.
    """
    shades = colours(names)
    size = float(np.clip(9000 / max(len(points), 1), 1.5, 28))
    order = np.random.default_rng(0).permutation(len(points))
    tints = np.array([_rgba(shades[str(group)]) for group in groups[order]])
    axes.scatter(points[order, 0], points[order, 1], c=tints, s=size, linewidths=0, rasterized=True)
    counts = {name: int((groups == name).sum()) for name in names}
    if len(names) <= MAX_LEGEND:
        handles = [
            axes.scatter(
                [], [], color=shades[name], s=28, label=f"{short(name)} ({counts[name]:,})"
            )
            for name in names
        ]
        axes.legend(
            handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False,
            fontsize=8, handletextpad=0.3,
        )  # fmt: skip
    least = max(1, round(NAMED_SHARE * len(points)))
    _write_names(axes, points, groups, [name for name in names if counts[name] >= least])


def finish_embedding(axes: Axes, title: str, kind: str) -> None:
    """Take away scales that mean nothing in an embedding."""
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(f"{kind} 1", fontsize=9)
    axes.set_ylabel(f"{kind} 2", fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(False)


def plain(axes: Axes) -> None:
    """Take away the box's upper and right side."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def short(text: str, length: int = 34) -> str:
    """A text cut to what fits beside a plot."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def dot_plot(
    axes: Axes, means: np.ndarray, shares: np.ndarray, groups: Sequence[str], genes: Sequence[str]
) -> None:
    """Dots whose size is the share of cells that express, whose colour is the mean.

    Args:
        axes: Where to draw.
        means: (groups, genes) mean log1p expression, each gene scaled to its largest group.
        shares: (groups, genes) share of cells with any expression.
        groups: Names of the rows.
        genes: Names of the columns.
    """
    at_x, at_y = np.meshgrid(np.arange(len(genes)), np.arange(len(groups)))
    dots = axes.scatter(
        at_x.ravel(), at_y.ravel(), s=8 + 150 * shares.ravel(), c=means.ravel(), cmap=SEQUENTIAL,
        vmin=0, vmax=1, edgecolors="#555555", linewidths=0.3,
    )  # fmt: skip
    axes.set_xticks(range(len(genes)), genes, rotation=90, fontsize=8, fontstyle="italic")
    axes.set_yticks(range(len(groups)), [short(name) for name in groups], fontsize=8)
    axes.set_xlim(-0.6, len(genes) - 0.4)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.spines[:].set_color("#BBBBBB")
    bar = axes.figure.colorbar(dots, ax=axes, shrink=0.5, aspect=12, pad=0.02, anchor=(0, 0))
    bar.set_label("mean expression\n(share of highest group)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    handles = [
        axes.scatter([], [], s=8 + 150 * share, color="#777777", label=f"{share:.0%}")
        for share in (0.25, 0.5, 1.0)
    ]
    axes.legend(
        handles=handles, title="cells expressing", title_fontsize=8, fontsize=8, frameon=False,
        loc="lower left", bbox_to_anchor=(1.01, 0.62), labelspacing=0.9,
    )  # fmt: skip


def _write_names(axes: Axes, points: np.ndarray, groups: np.ndarray, names: Sequence[str]) -> None:
    from matplotlib import patheffects

    if len(names) > MAX_LEGEND * 2:
        return
    placed: list[tuple[float, float]] = []
    low, high = points.min(axis=0), points.max(axis=0)
    gap = (high[1] - low[1]) * 0.035
    for name in sorted(names, key=lambda one: -int((groups == one).sum())):
        middle = np.median(points[groups == name], axis=0)
        at_x, at_y = float(middle[0]), float(middle[1])
        width = (high[0] - low[0]) * 0.009 * len(short(name, 22)) + 1e-9
        # Names that would lie on one another move up until they do not.
        while any(abs(at_y - y) < gap and abs(at_x - x) < width for x, y in placed):
            at_y += gap
        placed.append((at_x, at_y))
        text = axes.text(at_x, at_y, short(name, 22), fontsize=7.5, ha="center", va="center")
        text.set_path_effects([patheffects.withStroke(linewidth=2.2, foreground="white")])


def _rgba(colour: Any) -> tuple[float, float, float, float]:
    from matplotlib.colors import to_rgba

    red, green, blue, alpha = to_rgba(colour)
    return (red, green, blue, alpha * 0.85)
