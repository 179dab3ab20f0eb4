import numpy as np
from scipy import sparse

from cellwright.evals.genept import (
    gene_sentences,
    logistic_labels,
    nearest_labels,
    weighted_vectors,
)


def test_a_cell_is_the_weighted_mean_of_its_genes() -> None:
    vectors = np.eye(3, dtype=np.float32)
    cells = sparse.csr_matrix(np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]], np.float32))
    found = weighted_vectors(cells, vectors)
    np.testing.assert_allclose(found, [[0.6, 0.8, 0.0], [0.0, 0.0, 0.0]], atol=1e-6)


def test_sentences_name_genes_in_rank_without_species_or_padding() -> None:
    genes = np.array([[2, 0], [1, -1]])
    assert gene_sentences(genes, ["INS", "GCG", "mouse:Xist"]) == ["Xist INS", "GCG"]


def test_labels_come_from_the_nearest_by_angle() -> None:
    rng = np.random.default_rng(0)
    centres = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0])}
    labels = np.repeat(np.array(["a", "b"], object), 15)
    lengths = rng.uniform(0.1, 10, size=(30, 1))
    train = np.stack([centres[x] for x in labels]) * lengths + rng.normal(0, 0.01, (30, 2))
    test = np.array([[5.0, 0.2], [0.1, 6.0]])
    assert nearest_labels(train, labels, test).tolist() == ["a", "b"]
    assert logistic_labels(train, labels, test).tolist() == ["a", "b"]
