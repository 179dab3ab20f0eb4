"""Rankings against scipy, and the matched draw by hand."""

import numpy as np
import pytest
from scipy import sparse, stats

from cellwright.evals.gene_rankings import LEAST_ERROR, matched_rate, rank_sum, welch


@pytest.fixture
def groups() -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    rng = np.random.default_rng(0)
    inside = rng.poisson([0.2, 3.0, 1.0, 0.0], (30, 4)).astype(float)
    outside = rng.poisson([0.2, 1.0, 2.0, 0.0], (50, 4)).astype(float)
    return sparse.csr_matrix(inside), sparse.csr_matrix(outside)


def test_welch_is_the_difference_over_its_error(groups) -> None:
    inside, outside = (part.toarray() for part in groups)
    error = np.sqrt(inside.var(axis=0) / 30 + outside.var(axis=0) / 50) + LEAST_ERROR
    np.testing.assert_allclose(welch(*groups), (inside.mean(0) - outside.mean(0)) / error)


def test_rank_sum_is_the_u_test_with_ties(groups) -> None:
    found = rank_sum(*groups)
    for gene in range(3):
        inside, outside = (part[:, [gene]].toarray().ravel() for part in groups)
        test = stats.mannwhitneyu(inside, outside, method="asymptotic", use_continuity=False)
        assert 2 * stats.norm.sf(abs(found[gene])) == pytest.approx(test.pvalue, rel=1e-6)
    assert found[1] > 0 > found[2]
    assert found[3] == 0


def test_matched_draws_are_of_genes_expressed_alike() -> None:
    level = np.arange(200.0)
    marked = level >= 100
    assert matched_rate(marked, level, np.array([150, 160])) == 1.0
    assert matched_rate(marked, level, np.array([10])) == 0.0
    assert matched_rate(marked, level, np.array([100])) == pytest.approx(0.5, abs=0.02)
    # Ends of the scale have neighbours on one side only.
    assert matched_rate(marked, level, np.array([199, 0])) == 0.5
