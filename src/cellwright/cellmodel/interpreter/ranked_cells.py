"""Cells as lists of genes, the best ranked first."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cellwright.cellmodel.interpreter.config import Ranking


@dataclass(frozen=True, kw_only=True)
class RankedCells:
    """Cells by their genes.

    Attributes:
        genes: ``(B, N)`` positions in the vocabulary in falling rank; -1 after a cell's last gene.
        levels: ``(B, N)`` log1p counts per 10,000; 0 there.
    """

    genes: np.ndarray
    levels: np.ndarray

    def __len__(self) -> int:
        return len(self.genes)

    def rows(self, where: slice | np.ndarray) -> "RankedCells":
        """These cells only."""
        return RankedCells(genes=self.genes[where], levels=self.levels[where])


def mean_levels(expression: sparse.csr_matrix) -> np.ndarray:
    """Mean log1p level of each gene over all cells, ``(V,)`` float32."""
    return np.asarray(expression.mean(axis=0), dtype=np.float32).ravel()


def rank_genes(
    expression: sparse.csr_matrix, mean: np.ndarray, n: int, *, ranking: Ranking
) -> RankedCells:
    """The n best ranked genes of each cell; equal ranks in order of the vocabulary.

    Args:
        expression: ``(B, V)`` csr, log1p counts per 10,000.
        mean: ``(V,)`` mean levels of the training cells.
        n: Genes to keep.
        ranking: By level less mean level, or by level.
    """
    ordered = sparse.csr_matrix(expression, copy=True)
    ordered.eliminate_zeros()
    ordered.sort_indices()
    scores = ordered.data
    if ranking == "centred":
        scores = scores - mean[ordered.indices]
    genes = np.full((ordered.shape[0], n), -1, dtype=np.int64)
    levels = np.zeros((ordered.shape[0], n), dtype=np.float32)
    for row in range(ordered.shape[0]):
        own = slice(ordered.indptr[row], ordered.indptr[row + 1])
        best = np.argsort(-scores[own], kind="stable")[:n]
        genes[row, : len(best)] = ordered.indices[own][best]
        levels[row, : len(best)] = ordered.data[own][best]
    return RankedCells(genes=genes, levels=levels)
