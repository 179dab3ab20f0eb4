"""Ways to rank the genes of a group of cells without any model: what saliency is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LEAST_ERROR = 0.05
"""Added to the standard error of Welch's statistic, so that genes hardly seen do not lead."""

NEIGHBOURS = 50
"""Genes nearest in expression that stand for a gene in a draw matched by expression."""


_GENES_AT_ONCE = 2000


def welch(inside: csr_matrix, outside: csr_matrix) -> np.ndarray:
    """Welch's t of each gene, cells inside a group against those outside, ``(G,)``."""
    mean_in, variance_in = _moments(inside)
    mean_out, variance_out = _moments(outside)
    error = np.sqrt(variance_in / inside.shape[0] + variance_out / outside.shape[0])
    return (mean_in - mean_out) / (error + LEAST_ERROR)


def rank_sum(inside: csr_matrix, outside: csr_matrix) -> np.ndarray:
    """Wilcoxon's rank-sum z of each gene, corrected for ties, ``(G,)``."""
    from scipy import sparse
    from scipy.stats import rankdata

    n_in, n_out = inside.shape[0], outside.shape[0]
    total = n_in + n_out
    table = sparse.csc_matrix(sparse.vstack([inside, outside]))
    found = np.zeros(table.shape[1])
    for start in range(0, table.shape[1], _GENES_AT_ONCE):
        values = table[:, start : start + _GENES_AT_ONCE].toarray()
        low, high = rankdata(values, "min", axis=0), rankdata(values, "max", axis=0)
        # A cell in a tie of t cells adds t^2 - 1 to the sum of t^3 - t over ties.
        tied = ((high - low + 1.0) ** 2 - 1).sum(axis=0)
        spread = n_in * n_out / 12 * (total + 1 - tied / (total * (total - 1)))
        excess = (low + high)[:n_in].sum(axis=0) / 2 - n_in * (total + 1) / 2
        found[start : start + _GENES_AT_ONCE] = excess / np.sqrt(np.maximum(spread, 1e-12))
    return found


def matched_rate(marked: np.ndarray, level: np.ndarray, chosen: np.ndarray) -> float:
    """Rate of marked genes among those expressed like the chosen ones.

    It is what a draw of one gene for each chosen gene, from the ``NEIGHBOURS`` nearest to it in
    expression, gives on average.

    Args:
        marked: ``(G,)`` bool, genes with a record.
        level: ``(G,)`` mean expression.
        chosen: Positions of the chosen genes.
    """
    order = np.argsort(level, kind="stable")
    place = np.empty(len(order), dtype=int)
    place[order] = np.arange(len(order))
    half, rates = NEIGHBOURS // 2, []
    for gene in chosen:
        at = place[gene]
        start = int(np.clip(at - half, 0, max(len(order) - NEIGHBOURS - 1, 0)))
        near = order[start : start + NEIGHBOURS + 1]
        rates.append(float(marked[near[near != gene]].mean()))
    return float(np.mean(rates))


def mean_level(cells: csr_matrix) -> np.ndarray:
    """Mean of each gene, ``(G,)``."""
    return np.asarray(cells.mean(axis=0), dtype=np.float64).ravel()


def _moments(cells: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    mean = mean_level(cells)
    return mean, np.maximum(mean_level(cells.multiply(cells)) - mean**2, 0.0)
