"""Figures of the suite ``generation``, after InstructCell's figures 2 and 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cellwright.cellmodel.realism import log_profile
from cellwright.evals.generation_spaces import NEIGHBOURS
from cellwright.evals.generators import Bed
from cellwright.evals.pictures import new_figure, save, scatter

SHADES = {
    "cellwright": "#D55E00",
    "cvae": "#0072B2",
    "nb": "#009E73",
    "resample": "#999999",
    "real": "#222222",
}
NAMES = {
    "nb": "NB by moments",
    "cvae": "plain CVAE",
    "resample": "training cells",
    "real": "half of the test cells",
}
TITLES = {
    "delta_sknn": "delta-sKNN, less is better",
    "delta_pknn": "distance from real pKNN, less is better",
    "pknn": "pKNN",
    "mmd": "MMD, less is better",
}
Curves = Mapping[str, Mapping[str, Mapping[str, Mapping[int, float]]]]
"""Mean over files: space -> metric -> system -> k -> figure."""


def draw_overlap(
    beds: Sequence[Bed], real: Sequence[np.ndarray], made: Sequence[np.ndarray], folder: Path
) -> None:
    """Real and made cells in UMAP: overlap, real by type, made by type (figure 2a)."""
    figure, axes = new_figure(11, 3.1 * len(beds), rows=len(beds), columns=3)
    for row, bed, points, drawn in zip(axes, beds, real, made, strict=True):
        kinds = np.repeat(["real", "made"], [len(points), len(drawn)])
        both = np.concatenate([points, drawn])
        order = np.random.default_rng(0).permutation(len(both))  # neither kind hides the other
        shades = {"real": "#999999", "made": SHADES["cellwright"]}
        scatter(row[0], both[order], list(kinds[order]), shades, "overlap")
        palette = _palette(list(bed.sizes))
        scatter(row[1], points, list(bed.labels), palette, f"{bed.card.name}: real")
        scatter(row[2], drawn, list(bed.labels), palette, "made from text")
        for axis in row:
            axis.set_xlim(both[:, 0].min() - 1, both[:, 0].max() + 1)
            axis.set_ylim(both[:, 1].min() - 1, both[:, 1].max() + 1)
            axis.title.set_fontsize(8)
        for label, shade in palette.items():
            row[2].scatter([], [], color=shade, s=14, label=label)
        row[2].legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        row[0].scatter([], [], color=shades["real"], s=14, label="real")
        row[0].scatter([], [], color=shades["made"], s=14, label="made from text")
        row[0].legend(
            fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2
        )
    save(figure, folder, "generation-umap")


def draw_markers(bed: Bed, made: np.ndarray, symbols: Sequence[str], folder: Path) -> None:
    """Top three Welch genes of each type, in real cells over made ones (figures 2b and 12)."""
    real, drawn = log_profile(bed.real), log_profile(made)
    names = list(bed.sizes)
    genes = welch_genes(real, bed.labels, 3)
    figure, axes = new_figure(0.22 * len(genes) + 2.4, 0.36 * len(names) + 2.6, rows=2)
    for axis, cells, title in ((axes[0, 0], real, "real"), (axes[1, 0], drawn, "made from text")):
        groups = [cells[bed.labels == name][:, genes] for name in names]
        level = np.stack([group.mean(axis=0) for group in groups])
        share = np.stack([(group > 0).mean(axis=0) for group in groups])
        spread = level.max(axis=0) - level.min(axis=0)
        scaled = (level - level.min(axis=0)) / np.maximum(spread, 1e-6)
        across, down = np.meshgrid(range(len(genes)), range(len(names)))
        axis.scatter(across, down, s=50 * share, c=scaled, cmap="Reds", vmin=0, vmax=1, lw=0)
        axis.set_xticks(range(len(genes)), [symbols[at] for at in genes], rotation=90, fontsize=6)
        axis.set_yticks(range(len(names)), names, fontsize=7)
        axis.set_title(f"{bed.card.name}, {title}", fontsize=8)
    axes[0, 0].set_xticks([])
    save(figure, folder, f"generation-markers-{bed.card.name}")


def welch_genes(levels: np.ndarray, labels: np.ndarray, n: int) -> list[int]:
    """The ``n`` genes of greatest Welch t statistic of each type against the others, no gene twice.

    Args:
        levels: ``(B, G)`` log profiles.
        labels: ``(B,)`` types.
        n: Genes of each type.
    """
    from scipy.stats import ttest_ind

    genes: list[int] = []
    for name in dict.fromkeys(labels):
        inside = labels == name
        with np.errstate(invalid="ignore", divide="ignore"):
            found = ttest_ind(levels[inside], levels[~inside], equal_var=False).statistic
        order = np.argsort(-np.nan_to_num(found), kind="stable")
        genes += [int(at) for at in order if int(at) not in genes][:n]
    return genes


def draw_curves(curves: Curves, folder: Path) -> None:
    """Figures of merit against k, mean over files, in each space (figure 2c)."""
    figure, axes = new_figure(13, 3 * len(curves), rows=len(curves), columns=len(TITLES))
    for row, (space, metrics) in zip(axes, curves.items(), strict=True):
        for axis, (metric, title) in zip(row, TITLES.items(), strict=True):
            for system, shade in SHADES.items():
                values = metrics[metric].get(system, {})
                style = "--" if system in {"real", "resample"} else "-"
                known = [k for k in NEIGHBOURS if k in values]
                axis.plot(
                    known, [values[k] for k in known], style, marker="o", ms=3, color=shade,
                    label=NAMES.get(system, system),
                )  # fmt: skip
            axis.set_xlabel("k", fontsize=8)
            axis.set_title(f"{space}: {title}", fontsize=8)
            axis.tick_params(labelsize=7)
    lines, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(lines, labels, fontsize=8, frameon=False, loc="outside lower center", ncols=5)
    save(figure, folder, "generation-curves")


def draw_templates(rows: Mapping[str, Mapping[str, Sequence[float]]], folder: Path) -> None:
    """Figures of merit under wordings that were trained on and others (figure 5a).

    Args:
        rows: metric -> ``seen`` and ``unseen`` -> one figure for each file.
        folder: Where figures go.
    """
    figure, axes = new_figure(9.6, 2.8, columns=len(rows))
    for axis, (metric, parts) in zip(axes[0], rows.items(), strict=True):
        seen, unseen = (np.asarray(parts[part]) for part in ("seen", "unseen"))
        top = float(max(seen.max(), unseen.max())) * 1.1
        axis.plot([0, top], [0, top], color="#BBBBBB", lw=0.8)
        axis.scatter(seen, unseen, s=18, color=SHADES["cellwright"])
        axis.set(xlabel="wordings trained on", ylabel="wordings held out", title=metric)
        axis.title.set_fontsize(8)
    save(figure, folder, "generation-templates")


def draw_types(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Each type beside its held-out cells: what drawn and what training cells have.

    Args:
        rows: ``TypeRealism`` of each, as the card holds them.
        folder: Where figures go.
    """
    figure, axes = new_figure(9.6, 3.2, columns=3)
    for axis, metric, title in zip(
        axes[0],
        ("two_sample_auc", "gene_correlation", "library_ratio"),
        (
            "two-sample AUC, .5 is best",
            "agreement of gene-gene correlations",
            "median counts, ratio",
        ),
        strict=True,
    ):
        held_out = [row["n_held_out"] for row in rows]
        if f"{metric}_real" in rows[0]:
            known = [row[f"{metric}_real"] for row in rows]
            axis.scatter(held_out, known, s=14, color=SHADES["resample"], label="training cells")
        drawn = [row[metric] for row in rows]
        axis.scatter(held_out, drawn, s=14, color=SHADES["cellwright"], label="made from text")
        ideal = {"two_sample_auc": 0.5}.get(metric, 1.0)
        axis.axhline(ideal, color="#BBBBBB", lw=0.8, zorder=0)
        axis.set_xscale("log")
        axis.set_xticks([20, 50, 100, 150], ["20", "50", "100", "150"])
        axis.minorticks_off()
        axis.set_xlabel("held-out cells of the type", fontsize=8)
        axis.set_title(title, fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0, 0].legend(fontsize=7, frameon=False)
    save(figure, folder, "generation-types")


def _palette(labels: Sequence[str]) -> dict[str, Any]:
    from matplotlib import colormaps

    names = sorted(labels)
    shades = colormaps["turbo"](np.linspace(0.05, 0.95, len(names)))
    return dict(zip(names, shades, strict=True))
