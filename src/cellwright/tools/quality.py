"""Cells of low quality: few counts, few genes or much mitochondrial RNA for their sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellwright.tools.columns import grouping
from cellwright.tools.selection import symbols

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.tools.passport import Passport

LOW_QUALITY = "cellwright_low_quality"
LOW_QUALITY_WHY = "cellwright_low_quality_reason"
TOTAL, N_GENES = "cellwright_total", "cellwright_n_genes"
MITOCHONDRIAL = "cellwright_mitochondrial_share"

FEW_COUNTS, FEW_GENES, MITO = "few counts", "few genes", "much mitochondrial RNA"
RULES = (FEW_COUNTS, FEW_GENES, MITO)

N_MADS = 5
"""Median absolute deviations below its sample's median, on a log scale, for counts and genes."""

N_MADS_MITO = 3
"""Median absolute deviations above its sample's median for the mitochondrial share."""

LEAST_MITO = 0.08
"""Mitochondrial share up to which no cell is flagged, however even its sample is."""

LEAST_MAD = 0.02
"""Least deviation on the log scale, for samples in which most cells are alike to the gene."""

MIN_SAMPLE = 30
"""Cells below which a sample's median says little; such samples are judged together."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What was measured of the cells.

    Attributes:
        totals: (B,) counts of each cell, or summed values where there are no counts.
        n_genes: (B,) genes seen.
        mitochondrial: (B,) share of counts on mitochondrial genes; None where it cannot be told.
        broken: (B,) bool for each rule.
        counted: Whether there were counts.
    """

    totals: np.ndarray
    n_genes: np.ndarray
    mitochondrial: np.ndarray | None
    broken: dict[str, np.ndarray]
    counted: bool

    @property
    def flags(self) -> np.ndarray:
        """(B,) bool: any rule."""
        found = np.zeros(len(self.totals), dtype=bool)
        for one in self.broken.values():
            found |= one
        return found

    @property
    def reasons(self) -> np.ndarray:
        """(B,) object: the rules that a cell breaks, joined by semicolons; empty if none."""
        parts = [np.where(self.broken[rule], rule, "") for rule in self.broken]
        return np.array(
            ["; ".join(filter(None, row)) for row in zip(*parts, strict=True)], dtype=object
        )


def measure_quality(adata: AnnData, samples: np.ndarray | None = None) -> Quality:
    """Measure cells and hold each against the others of its sample.

    Counts and genes are compared as logarithms, by the distance from the sample's median in median
    absolute deviations (times 1.4826, so that they equal standard deviations of a normal
    distribution), as in scater (McCarthy et al., Bioinformatics 2017). Totals of values that are
    not counts say nothing of quality and are left out of the rules.

    Args:
        adata: A working copy of intake.
        samples: (B,) object, the sample of each cell; None takes all as one.
    """
    counted = "counts" in adata.layers
    matrix = adata.layers["counts"] if counted else adata.X
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    n_genes = np.asarray((matrix != 0).sum(axis=1)).ravel()
    samples = np.full(adata.n_obs, "", dtype=object) if samples is None else samples
    groups = _sample_rows(samples)
    broken = {}
    if counted:
        broken[FEW_COUNTS] = _below(np.log1p(np.maximum(totals, 0)), groups)
    broken[FEW_GENES] = _below(np.log1p(n_genes), groups)
    share = None
    mito = np.char.startswith(np.char.upper(symbols(adata).astype(str)), "MT-")
    if counted and mito.any():
        part = np.asarray(matrix[:, np.flatnonzero(mito)].sum(axis=1)).ravel()
        share = np.divide(part, totals, out=np.zeros(adata.n_obs), where=totals > 0)
        broken[MITO] = _above(share, groups)
    return Quality(
        totals=totals, n_genes=n_genes, mitochondrial=share, broken=broken, counted=counted
    )


def write_quality(adata: AnnData, quality: Quality) -> None:
    """Write what was measured, and the flags, to obs."""
    adata.obs[TOTAL] = quality.totals
    adata.obs[N_GENES] = quality.n_genes
    if quality.mitochondrial is not None:
        adata.obs[MITOCHONDRIAL] = quality.mitochondrial
    adata.obs[LOW_QUALITY] = quality.flags
    adata.obs[LOW_QUALITY_WHY] = quality.reasons.astype(str)
    adata.obs[LOW_QUALITY_WHY] = adata.obs[LOW_QUALITY_WHY].astype("category")


def sample_column(passport: Passport | None) -> str:
    """Column of the samples that were loaded one by one: batches, else donors; may be empty."""
    column = passport.column("batch", "donor") if passport else None
    return column.name if column is not None and column.n_values > 1 else ""


def samples_of(adata: AnnData, column: str) -> np.ndarray | None:
    """(B,) object, the sample of each cell; None without a column."""
    if not column:
        return None
    return np.asarray(grouping(adata.obs, column).astype(object).fillna(""), dtype=object)


def _sample_rows(samples: np.ndarray) -> list[np.ndarray]:
    """Rows of each sample; those of all samples that are too small come together."""
    found: list[np.ndarray] = []
    small: list[np.ndarray] = []
    for name in sorted(set(samples.tolist())):
        rows = np.flatnonzero(samples == name)
        (found if len(rows) >= MIN_SAMPLE else small).append(rows)
    return [*found, *([np.concatenate(small)] if small else [])]


def _mad(values: np.ndarray) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _below(values: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    flags = np.zeros(len(values), dtype=bool)
    for rows in groups:
        own = values[rows]
        flags[rows] = own < np.median(own) - N_MADS * max(_mad(own), LEAST_MAD)
    return flags


def _above(values: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    flags = np.zeros(len(values), dtype=bool)
    for rows in groups:
        own = values[rows]
        flags[rows] = own > max(np.median(own) + N_MADS_MITO * _mad(own), LEAST_MITO)
    return flags
