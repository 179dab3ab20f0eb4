"""Whether an explanation is of the model: what removing its genes does, and what forgetting does.

Deletion and insertion curves follow Petsiuk et al. 2018 (RISE, arXiv 1806.07421), on genes in place
of pixels; the randomisation test follows Adebayo et al. 2018 (arXiv 1810.03292).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from cellwright.cellmodel.data.block import CellBlock

SHARES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
"""Shares of a cell's expressed genes that are removed, or given back.

They double, because a handful of genes decides most cells: on an even grid all of the curve would
lie in its first step.
"""

UNLEARNED = 0.1
"""Largest mean rank correlation with the explanations of a model that has forgotten everything.

Fixed before the first measurement. The scores are signed and the correlation is over the genes that
the cell expresses, so that neither the zeros nor the input's size can make two maps alike.
"""

Probability = Callable[["CellBlock"], np.ndarray]


def ranked_genes(scores_BV: np.ndarray, expression: csr_matrix) -> list[np.ndarray]:
    """Expressed genes of each cell, highest score first; equal scores by position.

    Args:
        scores_BV: ``(B, V)`` scores.
        expression: ``(B, V)`` csr.
    """
    found = []
    for row in range(expression.shape[0]):
        genes = expression.indices[expression.indptr[row] : expression.indptr[row + 1]]
        found.append(genes[np.argsort(-scores_BV[row, genes], kind="stable")])
    return found


def shuffled_genes(expression: csr_matrix, rng: np.random.Generator) -> list[np.ndarray]:
    """Expressed genes of each cell in random order."""
    rows = [expression[row].indices for row in range(expression.shape[0])]
    return [rng.permutation(genes) for genes in rows]


def curves(
    probability: Probability, block: CellBlock, order: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Deletion and insertion curve of each cell, both ``(B, 1 + shares)``.

    Deletion: the probability of the label for the whole cell, then with each of ``SHARES`` of its
    genes removed, the first of the order first. Insertion: with each of ``SHARES`` alone, then for
    the whole cell. A gene that is removed reads as not expressed; what is left is not normalised
    anew.

    Args:
        probability: Of the label in question, ``(B,)`` of a block.
        block: Cells.
        order: Expressed genes of each cell, the first to go or to come first.
    """
    from scipy import sparse

    steps = [_kept(block.expression, order, share, first=True) for share in SHARES]
    steps.append(block.expression)
    steps += [_kept(block.expression, order, share, first=False) for share in SHARES]
    stacked = dataclasses.replace(block, expression=sparse.vstack(steps).tocsr())
    found = probability(stacked).reshape(len(steps), len(block)).T
    whole = len(SHARES)
    return found[:, whole:], found[:, : whole + 1]


def area(curve: np.ndarray) -> np.ndarray:
    """Mean height of each cell's curve, ``(B,)``: its area on a logarithmic axis of shares.

    The end at which the whole cell is read says nothing of the order, but is the same for all.
    """
    return np.asarray(curve.mean(axis=1))


def rank_correlations(
    one_BV: np.ndarray, other_BV: np.ndarray, expression: csr_matrix
) -> np.ndarray:
    """Spearman of two maps over each cell's expressed genes, ``(B,)``; NaN for a constant."""
    from cellwright.evals.metrics import spearman

    found = []
    for row in range(expression.shape[0]):
        genes = expression.indices[expression.indptr[row] : expression.indptr[row + 1]]
        found.append(spearman(one_BV[row, genes], other_BV[row, genes]))
    return np.array(found)


def _kept(
    expression: csr_matrix, order: Sequence[np.ndarray], share: float, *, first: bool
) -> csr_matrix:
    """Cells with only the first part of their order, or only the rest."""
    from scipy import sparse

    keep = np.zeros(expression.nnz, dtype=bool)
    for row, genes in enumerate(order):
        size = max(1, round(share * len(genes))) if len(genes) else 0
        there = np.zeros(expression.shape[1], dtype=bool)
        there[genes[:size]] = True
        start, stop = expression.indptr[row], expression.indptr[row + 1]
        keep[start:stop] = there[expression.indices[start:stop]] == first
    left = sparse.csr_matrix(
        (expression.data * keep, expression.indices.copy(), expression.indptr.copy()),
        shape=expression.shape,
    )
    left.eliminate_zeros()
    return left
