import numpy as np
import pytest
from scipy import sparse

from cellwright.tools import doublets
from cellwright.tools.doublets import add_cells, draw_pairs, score_doublets

TYPES = ("alpha", "beta", "gamma")


def make_counts(n_per_type, rng, n_genes=300):
    """Three types of different genes and different depth."""
    blocks = []
    for at in range(len(TYPES)):
        rate = np.full(n_genes, 0.6)
        rate[at * 40 : at * 40 + 40] = 6.0
        blocks.append(rng.poisson(rate * (1 + at), size=(n_per_type, n_genes)))
    types = np.repeat(np.array(TYPES, dtype=object), n_per_type)
    return sparse.csr_matrix(np.concatenate(blocks).astype(np.float32)), types


def with_doublets(n_per_type=120, n_doublets=20, seed=0):
    rng = np.random.default_rng(seed)
    counts, types = make_counts(n_per_type, rng)
    first, second = draw_pairs(types, n_doublets, rng)
    sums = add_cells(counts, first, second, rng, kept=1)
    truth = np.arange(counts.shape[0] + n_doublets) >= counts.shape[0]
    pairs = [tuple(sorted((types[a], types[b]))) for a, b in zip(first, second, strict=True)]
    called = np.concatenate([types, types[first]])
    return sparse.vstack([counts, sums]).tocsr(), called, truth, pairs


def test_planted_doublets_are_found_and_named():
    from sklearn.metrics import roc_auc_score

    counts, types, truth, pairs = with_doublets()
    found = score_doublets(counts, types, seed=1)
    assert roc_auc_score(truth, found.score) > 0.97
    assert found.flags[truth].mean() > 0.7
    assert found.flags[~truth].mean() < 0.03
    named = [(one, pair) for one, pair in zip(found.partners[truth], pairs, strict=True) if one]
    assert len(named) > 10
    assert np.mean([one == pair for one, pair in named]) > 0.9
    assert not found.skipped


def test_a_type_rich_in_rna_is_no_doublet():
    counts, types, truth, _pairs = with_doublets()
    found = score_doublets(counts, types)
    rich = (types == "gamma") & ~truth
    assert found.flags[rich].mean() < 0.05


def test_the_same_seed_gives_the_same_scores():
    counts, types, _truth, _pairs = with_doublets()
    first, again = (score_doublets(counts, types, seed=3).score for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != score_doublets(counts, types, seed=4).score).any()


def test_samples_are_scored_one_by_one_and_small_ones_skipped(monkeypatch):
    monkeypatch.setattr(doublets, "CHUNK", 150)
    counts, types, _truth, _pairs = with_doublets()
    samples = np.array(["large"] * 350 + ["small"] * 30, dtype=object)
    order = np.random.default_rng(0).permutation(380)
    said = []
    found = score_doublets(
        counts[order], types[order], samples, say=lambda text, share: said.append((text, share))
    )
    assert np.isnan(found.score[350:]).all()
    assert np.isfinite(found.score[:350]).all()
    assert found.skipped == (("small", "30 cells, and 100 are needed"),)
    assert len(said) == 3
    assert "380 cells" in said[0][0]


@pytest.mark.parametrize(
    ("n_per_type", "n_genes", "types", "reason"),
    [
        (50, 300, ["one"], "of one type"),
        (50, 50, TYPES, "50 genes were measured"),
        (20, 300, TYPES, "60 cells"),
    ],
)
def test_what_cannot_be_scored_says_why(n_per_type, n_genes, types, reason):
    counts, made = make_counts(n_per_type, np.random.default_rng(0), n_genes=max(n_genes, 120))
    called = made if len(types) > 1 else np.full(len(made), "one", dtype=object)
    found = score_doublets(counts[:, :n_genes], called)
    assert np.isnan(found.score).all()
    assert not found.flags.any()
    assert reason in found.skipped[0][1]


def test_pairs_are_of_two_types_and_sums_lose_counts():
    rng = np.random.default_rng(0)
    counts, types = make_counts(40, rng)
    first, second = draw_pairs(types, 50, rng)
    assert (types[first] != types[second]).all()
    whole = np.asarray(add_cells(counts, first, second, rng, kept=1).sum(axis=1)).ravel()
    total = np.asarray(counts.sum(axis=1)).ravel()
    np.testing.assert_array_equal(whole, total[first] + total[second])
    thinned = np.asarray(add_cells(counts, first, second, rng).sum(axis=1)).ravel()
    assert ((thinned <= whole) & (thinned > 0.4 * whole)).all()
    assert (thinned < whole).mean() > 0.9


def test_empty_cells_are_not_scored():
    counts, types, _truth, _pairs = with_doublets()
    dense = counts.toarray()
    dense[:3] = 0
    found = score_doublets(sparse.csr_matrix(dense), types)
    assert np.isnan(found.score[:3]).all()
    assert not found.flags[:3].any()
