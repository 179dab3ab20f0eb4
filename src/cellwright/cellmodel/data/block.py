"""A block of cells, normalised and aligned to the vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from cellwright.cellmodel.vocabulary import GeneVocabulary

CELL_TOTAL = 1e4
NATURAL_LOG_CEILING = 9.3
"""Just above log1p(1e4): a log matrix with larger values is in base 2 (or not per 10,000)."""

SCALED_SHIFT = 3.0
"""Added to z-scores, so that a gene three deviations below its mean reads as not expressed."""

State = Literal["counts", "log1p", "tpm", "scaled"]


@dataclass(frozen=True, kw_only=True)
class CellBlock:
    """Cells ready for the model.

    Attributes:
        expression: ``(B, V)`` csr, log1p of counts per 10,000 over all genes of the file.
        measured: ``(V,)`` bool, genes of the vocabulary that the file has.
        coverage: Share of the vocabulary that the file has.
    """

    expression: sparse.csr_matrix
    measured: np.ndarray
    coverage: float

    def __len__(self) -> int:
        return int(self.expression.shape[0])

    def rows(self, where: slice | np.ndarray) -> "CellBlock":
        """The same block with these cells only."""
        return CellBlock(
            expression=self.expression[where], measured=self.measured, coverage=self.coverage
        )


def make_block(
    matrix: sparse.spmatrix | np.ndarray,
    keys: Sequence[str | None],
    vocabulary: GeneVocabulary,
    state: State,
    *,
    log_base: Literal["auto", "e", "2"] = "auto",
) -> CellBlock:
    """Normalise cells and align their genes.

    Args:
        matrix: ``(B, G)`` expression, dense or sparse, not negative.
        keys: Vocabulary key of each of the G genes, None where unknown. Columns that share a key
            are summed.
        vocabulary: The model's genes.
        state: What the matrix holds. ``scaled`` (z-scores) is read as log levels, 3 added and cut
            at 0: good for the response labels that were trained on such, and for nothing else.
        log_base: Base of a ``log1p`` matrix. ``auto`` takes base 2 if any value is above 9.3;
            give it when blocks of one file are made one by one, so that all agree.

    Returns:
        The block; cells without any count have an empty row.
    """
    linear = _linear(sparse.csr_matrix(matrix, dtype=np.float64), state, log_base)
    totals = np.asarray(linear.sum(axis=1)).ravel()
    factors = np.divide(CELL_TOTAL, totals, out=np.zeros_like(totals), where=totals > 0)
    positions = vocabulary.positions(keys)
    known = np.flatnonzero(positions >= 0)
    mapping = sparse.csr_matrix(
        (np.ones(len(known)), (known, positions[known])), shape=(len(positions), len(vocabulary))
    )
    aligned = sparse.csr_matrix(sparse.diags(factors) @ (linear @ mapping))
    aligned.sum_duplicates()
    aligned.eliminate_zeros()
    aligned.sort_indices()
    aligned.data = np.log1p(aligned.data)
    measured = np.zeros(len(vocabulary), dtype=bool)
    measured[positions[known]] = True
    return CellBlock(
        expression=aligned.astype(np.float32), measured=measured, coverage=float(measured.mean())
    )


def _linear(
    matrix: sparse.csr_matrix, state: State, log_base: Literal["auto", "e", "2"]
) -> sparse.csr_matrix:
    if state == "scaled":
        dense = np.maximum(matrix.toarray() + SCALED_SHIFT, 0)
        return sparse.csr_matrix(np.expm1(dense))
    if matrix.nnz and matrix.data.min() < 0:
        msg = "Expression has negative values: scaled data cannot be read as counts, log1p or TPM."
        raise ValueError(msg)
    if state != "log1p":
        return matrix
    if log_base == "auto":
        log_base = "2" if matrix.nnz and matrix.data.max() > NATURAL_LOG_CEILING else "e"
    linear = matrix.copy()
    linear.data = np.expm1(linear.data * (np.log(2) if log_base == "2" else 1.0))
    return linear


def count_matrix(
    matrix: sparse.spmatrix, keys: Sequence[str | None], vocabulary: GeneVocabulary
) -> sparse.csr_matrix:
    """Raw counts aligned to the vocabulary, ``(B, V)`` csr; columns of one key are summed."""
    positions = vocabulary.positions(keys)
    known = np.flatnonzero(positions >= 0)
    mapping = sparse.csr_matrix(
        (np.ones(len(known)), (known, positions[known])), shape=(len(positions), len(vocabulary))
    )
    return sparse.csr_matrix(sparse.csr_matrix(matrix) @ mapping).astype(np.float32)
