"""Generated cells beside the summaries of the training cells: checks, and their figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.artifacts import ArtifactRef
from cellwright.tools import figures
from cellwright.tools.generation_result import Check, HeldOutFigure
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from cellwright.cellmodel.generation import GeneratedCells
    from cellwright.cellmodel.reference import TypeRealism, TypeReference

ZERO_TOLERANCE = 0.1
MIN_CORRELATION = 0.9
MIN_SPREAD = 0.5
"""Least ratio of generated to measured variance over genes; lower is a collapsed sample."""

MIN_RECOGNISED = 0.8
MIN_AGREEMENT = 0.5
"""Least agreement of gene-gene correlations, of drawn cells with training cells."""

FEWEST_CORRELATED = 50
"""Cells, drawn or of training, below which correlations between genes are too uncertain."""


class GeneratedMeasures:
    """The generated cells beside the summaries of the training cells.

    Args:
        drawn: The cells.
        reference: Summaries of the training cells that they follow.
    """

    def __init__(self, drawn: GeneratedCells, reference: TypeReference) -> None:
        counts = np.asarray(drawn.counts.todense(), dtype=np.float64)
        self.reference = reference
        self.totals = counts.sum(axis=1)
        self.zero_rate = float((counts == 0).mean())
        logged = np.log1p(counts * (1e4 / np.maximum(self.totals, 1))[:, None])
        self.mean, self.variance = logged.mean(axis=0), logged.var(axis=0)
        self.expected = np.asarray(reference.mean_log1p, dtype=np.float64)
        self.correlation = _correlation(self.mean, self.expected)
        spread = float(np.sum(reference.var_log1p))
        self.spread = float(self.variance.sum() / spread) if spread > 0 else 0.0
        self.duplicates = len(counts) - len(np.unique(counts, axis=0))
        self.pairs = _gene_pairs(logged, reference)
        self.correlation_of_pairs = 0.0 if self.pairs is None else _correlation(*self.pairs)

    def checks(self, recognised: float) -> tuple[Check, ...]:
        """Every check, given the share of cells that the cell model recognises."""
        low, high = self.reference.library_quantiles[0], self.reference.library_quantiles[-1]
        zero = self.reference.zero_rate
        median = float(np.median(self.totals))
        rows: tuple[tuple[str, float, str, bool], ...] = (
            ("median counts per cell", median, f"{low:,.0f} to {high:,.0f}", low <= median <= high),
            (
                "share of zeros",
                self.zero_rate,
                f"{zero:.2f} ± {ZERO_TOLERANCE}",
                abs(self.zero_rate - zero) <= ZERO_TOLERANCE,
            ),
            (
                "correlation of mean expression",
                self.correlation,
                f"at least {MIN_CORRELATION}",
                self.correlation >= MIN_CORRELATION,
            ),
            (
                "variance over measured variance",
                self.spread,
                f"{MIN_SPREAD} to {1 / MIN_SPREAD:g}",
                MIN_SPREAD <= self.spread <= 1 / MIN_SPREAD,
            ),
            (
                "recognised by the cell model",
                recognised,
                f"at least {MIN_RECOGNISED}",
                recognised >= MIN_RECOGNISED,
            ),
            ("exact duplicates among them", float(self.duplicates), "0", self.duplicates == 0),
        )
        if self.pairs is not None:
            rows += (
                (
                    "agreement of gene-gene correlations",
                    self.correlation_of_pairs,
                    f"at least {MIN_AGREEMENT}",
                    self.correlation_of_pairs >= MIN_AGREEMENT,
                ),
            )
        return tuple(
            Check(name=name, value=value, wanted=wanted, passed=bool(passed))
            for name, value, wanted, passed in rows
        )


def _gene_pairs(
    levels: np.ndarray, reference: TypeReference
) -> tuple[np.ndarray, np.ndarray] | None:
    """Correlations of pairs of genes in training and in drawn cells; None for too few cells."""
    from cellwright.cellmodel.reference import pair_correlations

    if min(len(levels), reference.source.n_cells) < FEWEST_CORRELATED:
        return None
    found = pair_correlations(levels[:, reference.correlated])
    return np.asarray(reference.correlations[: len(found)], dtype=np.float64), found


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def held_out_fields(realism: TypeRealism | None) -> dict[str, Any]:
    """Fields of the result on the comparison with held-out cells."""
    one = realism
    rows: list[tuple[str, float | None, float | None, str]] = []
    if one is not None:
        rows = [
            ("median counts per cell, ratio", one.library_ratio, None, "1"),
            ("share of zeros, difference", one.zero_gap, None, "0"),
            (
                "agreement of gene-gene correlations",
                one.gene_correlation,
                one.gene_correlation_real,
                "that of training cells",
            ),
            ("two-sample AUC", one.two_sample_auc, one.two_sample_auc_real, "0.5"),
            ("distance to the nearest training cell, ratio", one.nearest_ratio, None, "1"),
        ]
    return {
        "n_held_out": 0 if one is None else one.n_held_out,
        "held_out": tuple(
            HeldOutFigure(name=name, value=value, real=real, ideal=ideal)
            for name, value, real, ideal in rows
            if value is not None
        ),
        "auc": None if one is None else one.two_sample_auc,
        "auc_real": None if one is None else one.two_sample_auc_real,
        "nearest_ratio": None if one is None else one.nearest_ratio,
    }


def draw_checks(
    measures: GeneratedMeasures, drawn: GeneratedCells, bench: Workbench, *, tool: str
) -> ArtifactRef:
    """Counts per cell, mean expression and correlations, drawn beside measured."""
    from matplotlib.figure import Figure

    pairs = measures.pairs
    wide = 1 if pairs is None else 1.45
    figure = Figure(figsize=(8.6 * wide, 3.9), dpi=figures.DPI, layout="constrained")
    left, right, *more = figure.subplots(1, 2 if pairs is None else 3)
    quantiles = measures.reference.library_quantiles
    left.hist(measures.totals, bins=30, color=figures.PALETTE[0], alpha=0.85)
    left.axvspan(
        quantiles[0], quantiles[-1], color=figures.PALETTE[1], alpha=0.18, zorder=0,
        label="measured, middle 90 %",
    )  # fmt: skip
    left.axvline(quantiles[2], color=figures.PALETTE[5], linewidth=1.4, label="measured, median")
    left.set_xlabel("counts per cell", fontsize=9)
    left.set_ylabel("synthetic cells", fontsize=9)
    left.legend(frameon=False, fontsize=8)
    right.scatter(
        measures.expected, measures.mean, s=6, linewidths=0, color=figures.PALETTE[0], alpha=0.5,
        rasterized=True,
    )  # fmt: skip
    top = float(max(measures.expected.max(), measures.mean.max(), 0.1)) * 1.05
    right.plot([0, top], [0, top], color="#888888", linewidth=0.8)
    far = np.argsort(-np.maximum(measures.expected, measures.mean))[:6]
    for at in far:
        name = bench.knowledge.genes.symbol_of_key(drawn.keys[at], drawn.source.species)
        right.annotate(
            name, (measures.expected[at], measures.mean[at]), fontsize=7, fontstyle="italic",
            xytext=(3, -7), textcoords="offset points",
        )  # fmt: skip
    right.set_xlabel("measured mean (log1p CP10k)", fontsize=9)
    right.set_ylabel("synthetic mean (log1p CP10k)", fontsize=9)
    right.set_title(
        f"r = {measures.correlation:.2f} over {len(measures.mean):,} genes", fontsize=10
    )
    if pairs is not None:
        _draw_pairs(more[0], pairs, measures.correlation_of_pairs)
    for axes in (left, right, *more):
        figures.plain(axes)
    figure.suptitle(f"Synthetic {drawn.source.name} beside the measured summaries", fontsize=11)
    return figures.save(figure, bench, f"Checks of synthetic {drawn.source.name}", tool=tool)


def _draw_pairs(axes: Any, pairs: tuple[np.ndarray, np.ndarray], correlation: float) -> None:
    axes.scatter(*pairs, s=6, linewidths=0, color=figures.PALETTE[0], alpha=0.5, rasterized=True)
    axes.plot([-1, 1], [-1, 1], color="#888888", linewidth=0.8)
    axes.set(xlim=(-0.6, 1), ylim=(-0.6, 1))
    axes.set_xlabel("correlation of two genes, measured", fontsize=9)
    axes.set_ylabel("synthetic", fontsize=9)
    axes.set_title(f"r = {correlation:.2f} over {len(pairs[0]):,} pairs", fontsize=10)
