import numpy as np
import pytest
from scipy import sparse

from cellwright.errors import InputError
from cellwright.tools.matrices import choose_best, clean, detect_state, is_partial, log_cp10k
from cellwright.tools.passport import Matrix

COUNTS = np.random.default_rng(0).poisson(1.5, (60, 40)).astype(np.float32)
CP10K = COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4


@pytest.mark.parametrize(
    ("matrix", "state", "words"),
    [
        (COUNTS, "counts", "whole numbers"),
        (sparse.csr_matrix(COUNTS), "counts", "whole numbers"),
        (np.log1p(CP10K), "log1p", "sums to 10,000"),
        (np.log1p(CP10K)[:, :10], "log1p", "genes were left out"),
        (np.log2(CP10K + 1), "log1p", "base 2"),
        (CP10K * 100, "tpm", "every cell sums to 1,000,000"),
        (np.round(CP10K * 100), "tpm", "sums to"),
        ((COUNTS - COUNTS.mean(axis=0)) / COUNTS.std(axis=0), "scaled", "z-scores"),
        (np.zeros((5, 4)), "counts", ""),
    ],
)
def test_state_is_told_by_values(matrix, state, words):
    if not np.any(matrix if isinstance(matrix, np.ndarray) else matrix.data):
        assert detect_state(matrix)[0] != "counts"
        return
    found, evidence = detect_state(matrix)
    assert found == state
    assert words in evidence


def test_counts_come_before_log_values_and_partial_layers_never():
    def matrix(slot, state, n_genes=10):
        return Matrix(slot=slot, state=state, n_genes=n_genes, evidence="")

    assert choose_best([matrix("X", "log1p"), matrix("layers/counts", "counts")]) == "layers/counts"
    assert choose_best([matrix("X", "scaled"), matrix("raw", "log1p", 99)]) == "raw"
    assert choose_best([matrix("X", "log1p"), matrix("layers/unspliced", "counts")]) == "X"
    assert choose_best([matrix("X", "scaled")]) == ""
    assert is_partial("layers/unspliced")
    assert not is_partial("layers/counts")


def test_clean_refuses_mostly_missing_values():
    matrix = COUNTS.copy()
    matrix[:, :20] = np.nan
    with pytest.raises(InputError, match="NaN"):
        clean(matrix, "cells.h5ad")


def test_log_cp10k_leaves_empty_cells_empty():
    matrix = sparse.csr_matrix(np.array([[1.0, 3.0], [0.0, 0.0]]))
    result = log_cp10k(matrix).toarray()
    np.testing.assert_allclose(np.expm1(result[0]), [2500, 7500], rtol=1e-5)
    assert not result[1].any()
