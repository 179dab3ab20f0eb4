import numpy as np

from cellwright.cellmodel.data.registry import DatasetCard
from cellwright.cellmodel.realism import log_profile, nearest_distance
from cellwright.evals.generation_figures import welch_genes
from cellwright.evals.generation_spaces import (
    gene_figures,
    halves,
    kernel_widths,
    left_out_accuracy,
    mean_over_k,
    neighbourhoods,
    principal_points,
)
from cellwright.evals.generators import Bed, negative_binomial, resample

CARD = DatasetCard(name="one", species="human", tissue="blood", protocol="10x")


def planted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(["a", "b"], n)
    rate = np.full((2 * n, 40), 2.0)
    rate[:n, :5] = rate[n:, 5:10] = 14.0
    return rng.poisson(rate * rng.gamma(4, 0.25, (2 * n, 1))).astype(np.float32), labels


def test_the_negative_binomial_keeps_means_and_spread() -> None:
    rng = np.random.default_rng(0)
    cells = rng.poisson(rng.gamma(2, 3, (400, 30))).astype(np.float32)
    made = negative_binomial(cells, 800, rng)
    np.testing.assert_allclose(made.mean(axis=0), cells.mean(axis=0), rtol=0.15)
    assert abs(made.var() / cells.var() - 1) < 0.2


def test_resampling_gives_each_training_cell_once_while_they_last() -> None:
    cells = np.arange(12.0).reshape(6, 2)
    found = resample(cells, 6, np.random.default_rng(0))
    assert sorted(map(tuple, found)) == sorted(map(tuple, cells))
    assert len(resample(cells, 15, np.random.default_rng(0))) == 15


def test_cells_of_a_bed_stand_in_the_order_of_its_types() -> None:
    real, labels = planted(3, 0)
    bed = Bed(
        card=CARD, genes=np.ones(40, bool), keys=(), real=real, labels=labels, train={}, sources={}
    )
    made = bed.fill(lambda name, n: np.full((n, 40), ord(name)))
    assert bed.sizes == {"a": 3, "b": 3}
    assert list(made[:, 0]) == [97] * 3 + [98] * 3


def test_good_cells_do_better_than_types_without_difference() -> None:
    real, labels = planted(40, 1)
    good, mixed = planted(40, 2)[0], planted(40, 2)[0][np.random.default_rng(0).permutation(80)]
    points, others = principal_points(real, {"good": good, "mixed": mixed})
    widths = kernel_widths(points)
    found = {
        name: mean_over_k(neighbourhoods(points, labels, made, labels, widths=widths))
        for name, made in others.items()
    }
    assert found["good"]["pknn"] > 0.95 > found["mixed"]["pknn"]
    assert found["good"]["delta_sknn"] < 0.1 < found["mixed"]["delta_sknn"]
    assert found["good"]["delta_pknn"] < 0.05 < found["mixed"]["delta_pknn"]


def test_real_cells_are_left_out_when_they_are_judged() -> None:
    points = np.array([[0.0], [0.1], [5.0], [5.1]])
    assert left_out_accuracy(points, np.array(["a", "b", "b", "b"]), 1) == 0.5


def test_copies_are_seen_among_the_gene_figures() -> None:
    real, training = planted(40, 1)[0], planted(60, 2)[0]
    known = log_profile(training)
    usual = nearest_distance(log_profile(real), known)
    copied = gene_figures(real, training, known, usual=usual)
    fresh = gene_figures(real, planted(40, 3)[0], known, usual=usual)
    assert copied["nearest_training_ratio"] < 0.05
    assert abs(fresh["nearest_training_ratio"] - 1) < 0.1
    assert fresh["mean_correlation"] > 0.8
    assert fresh["library_gap"] < 0.2


def test_halves_hold_every_type() -> None:
    labels = np.array(["a"] * 9 + ["b"] * 3 + ["c"] * 2)
    one, other = halves(labels, 0)
    assert set(one) | set(other) == set(range(14))
    assert not set(one) & set(other)
    assert set(labels[one]) == set(labels[other]) == {"a", "b", "c"}


def test_top_genes_of_types_are_the_planted_ones() -> None:
    counts, labels = planted(40, 1)
    found = welch_genes(np.log1p(counts), labels, 3)
    assert set(found[:3]) <= set(range(5))
    assert set(found[3:]) <= set(range(5, 10))
