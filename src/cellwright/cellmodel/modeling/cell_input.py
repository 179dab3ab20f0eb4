"""From sparse blocks to the encoder's tensors."""

import numpy as np
import torch
from scipy import sparse

from cellwright.cellmodel.modeling.encoder import CellInput


def top_genes(
    expression: sparse.csr_matrix, usual: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The n genes of each cell that are most expressed for what is usual of them.

    Args:
        expression: ``(B, V)`` csr, log1p counts per 10,000, indices sorted.
        usual: ``(V,)`` usual level of each gene; dividing by it lets marker genes in where
            ribosomal and mitochondrial genes would fill every cell's list.
        n: Genes to keep.

    Returns:
        Positions ``(B, n)`` and levels ``(B, n)``; padding is 0 in both. A cell's result depends
        on that cell only.
    """
    size = expression.shape[0]
    genes = np.zeros((size, n), dtype=np.int64)
    levels = np.zeros((size, n), dtype=np.float32)
    ranks = expression.data / usual[expression.indices]
    for row in range(size):
        start, stop = expression.indptr[row], expression.indptr[row + 1]
        kept = np.arange(start, stop)
        if stop - start > n:
            kept = start + np.argpartition(-ranks[start:stop], n - 1)[:n]
        genes[row, : len(kept)] = expression.indices[kept]
        levels[row, : len(kept)] = expression.data[kept]
    return genes, levels


def cell_input(expression: sparse.csr_matrix, usual: np.ndarray, n_gene_tokens: int) -> CellInput:
    """Make the encoder's input of a csr block."""
    genes, levels = top_genes(expression, usual, max(n_gene_tokens, 1))
    return CellInput(
        torch.from_numpy(np.asarray(expression.toarray(), dtype=np.float32)),
        torch.from_numpy(genes),
        torch.from_numpy(levels),
    )
