"""Means and shares of expression by group of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import Series

PSEUDO = 0.01
"""Added to mean expression before fold changes, so that absent genes do not divide by zero."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A group's expression against all other cells, each (G,).

    Attributes:
        n_cells: Cells of the group.
        mean_in: Mean log-normalised expression in the group.
        share_in: Share of the group's cells that express the gene.
        share_out: The same of all other cells.
        log2_fold_change: log2 of the mean CP10k in the group over the mean elsewhere.
    """

    n_cells: int
    mean_in: np.ndarray
    share_in: np.ndarray
    share_out: np.ndarray
    log2_fold_change: np.ndarray


def indicator(groups: Series) -> Any:
    """(groups, B) sparse matrix of ones that sums cells by group, rows by category."""
    from scipy import sparse

    codes = groups.cat.codes.to_numpy()
    cells = np.flatnonzero(codes >= 0)
    shape = (len(groups.cat.categories), len(codes))
    return sparse.csr_matrix((np.ones(len(cells)), (codes[cells], cells)), shape=shape)


def group_profiles(matrix: Any, groups: Series) -> dict[str, Profile]:
    """Profile of each group.

    Args:
        matrix: (B, G) log-normalised expression, dense or sparse.
        groups: Categories of the cells.
    """
    from scipy import sparse

    values = sparse.csr_matrix(matrix, dtype=np.float64)
    by_group = indicator(groups)
    sizes = np.asarray(by_group.sum(axis=1)).ravel()
    logged = np.asarray((by_group @ values).todense())
    linear = values.copy()
    linear.data = np.expm1(linear.data)
    abundance = np.asarray((by_group @ linear).todense())
    seen = np.asarray((by_group @ (values > 0).astype(np.float64)).todense())
    total, everything, everywhere = sizes.sum(), abundance.sum(axis=0), seen.sum(axis=0)
    found = {}
    for row, name in enumerate(groups.cat.categories):
        n, rest = max(sizes[row], 1.0), max(total - sizes[row], 1.0)
        inside, outside = abundance[row] / n, (everything - abundance[row]) / rest
        found[str(name)] = Profile(
            n_cells=int(sizes[row]),
            mean_in=logged[row] / n,
            share_in=seen[row] / n,
            share_out=(everywhere - seen[row]) / rest,
            log2_fold_change=np.log2((inside + PSEUDO) / (outside + PSEUDO)),
        )
    return found
