"""The figure of ``predict_drug_response``: a dot and its interval for each group and drug."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellwright.tools.drug_records import DonorResponse, GroupResponse

SENSITIVE, RESISTANT, NEITHER = "#0b6e99", "#b3432b", "#6b6b6b"
MAX_ACROSS = 3


def draw_responses(
    path: Path, responses: Sequence[GroupResponse], donors: Sequence[DonorResponse]
) -> None:
    """Draw one panel per drug: groups as rows, z with its interval, donors as small dots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drugs = list(dict.fromkeys(one.drug for one in responses))
    groups = list(dict.fromkeys(one.group for one in responses))
    across = min(len(drugs), MAX_ACROSS)
    down = -(-len(drugs) // across)
    figure = Figure(
        figsize=(1.8 + 2.9 * across, down * (1.1 + 0.27 * len(groups))), layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for at, drug in enumerate(drugs):
        axis = axes[at // across][at % across]
        axis.axvline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
        for one in (row for row in responses if row.drug == drug):
            y = groups.index(one.group)
            colour = SENSITIVE if one.high < 0 else RESISTANT if one.low > 0 else NEITHER
            axis.plot([one.low, one.high], [y, y], color=colour, linewidth=1.6, zorder=2)
            axis.plot(one.z, y, "o", color=colour, markersize=5.5, zorder=3)
        mine = [row for row in donors if row.drug == drug]
        axis.plot(
            [row.z for row in mine],
            [groups.index(row.group) + 0.24 for row in mine],
            ".",
            color="#999999",
            markersize=3.5,
            zorder=1,
        )
        axis.set_title(drug, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    for spare in range(len(drugs), down * across):
        axes[spare // across][spare % across].set_visible(False)
        axes[spare // across - 1][spare % across].tick_params(labelbottom=True)
    axes[0][0].set_yticks(range(len(groups)), groups)
    axes[0][0].set_ylim(len(groups) - 0.5, -0.5)
    note = "predicted z of ln IC50   (← sensitive · resistant →)\nbar: 80 % interval"
    if donors:
        note += "; small dots: donors"
    figure.supxlabel(note, fontsize=9)
    figure.savefig(path, dpi=150)
