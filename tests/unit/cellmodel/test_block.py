import numpy as np
import pytest
from scipy import sparse

from cellwright.cellmodel.data.block import make_block
from cellwright.cellmodel.vocabulary import GeneVocabulary

VOCABULARY = GeneVocabulary(("A", "B", "C"))


def test_normalises_over_all_genes_of_the_file() -> None:
    block = make_block(np.array([[1, 1, 2]]), ["B", None, "A"], VOCABULARY, "counts")
    expected = np.log1p([[5000, 2500, 0]])
    np.testing.assert_allclose(block.expression.toarray(), expected, rtol=1e-6)
    assert block.measured.tolist() == [True, True, False]
    assert block.coverage == pytest.approx(2 / 3)


def test_sums_columns_of_one_key() -> None:
    block = make_block(np.array([[1, 3, 4]]), ["A", "A", "B"], VOCABULARY, "counts")
    np.testing.assert_allclose(np.expm1(block.expression.toarray()), [[5000, 5000, 0]], rtol=1e-5)


def test_log_matrix_gives_what_its_counts_give() -> None:
    counts = np.array([[4.0, 6.0, 90.0]])
    keys = ["A", "B", "C"]
    from_counts = make_block(counts, keys, VOCABULARY, "counts").expression.toarray()
    natural = np.log1p(counts / counts.sum() * 1e4)
    base_two = np.log2(1 + counts * 1e4)
    for matrix in (natural, base_two):
        found = make_block(matrix, keys, VOCABULARY, "log1p").expression.toarray()
        np.testing.assert_allclose(found, from_counts, rtol=1e-4)


def test_an_empty_cell_stays_empty() -> None:
    block = make_block(sparse.csr_matrix((2, 3)), ["A", "B", "C"], VOCABULARY, "counts")
    assert block.expression.nnz == 0


def test_scaled_data_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        make_block(np.array([[-1.0, 2.0, 0.0]]), ["A", "B", "C"], VOCABULARY, "log1p")
