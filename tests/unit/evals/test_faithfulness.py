"""Curves and correlations on a made-up model whose answer hangs on two genes."""

import numpy as np
import pytest
from scipy import sparse

from cellwright.cellmodel.data.block import CellBlock
from cellwright.evals.faithfulness import (
    SHARES,
    area,
    curves,
    rank_correlations,
    ranked_genes,
    shuffled_genes,
)

N_GENES = 100
DECISIVE = (3, 50)


def make_block(n_cells: int = 4) -> CellBlock:
    """Each cell expresses all genes but one."""
    dense = np.random.default_rng(0).uniform(1, 2, (n_cells, N_GENES)).astype(np.float32)
    dense[np.arange(n_cells), np.arange(n_cells) + 80] = 0
    return CellBlock(
        expression=sparse.csr_matrix(dense), measured=np.ones(N_GENES, bool), coverage=1.0
    )


def probability(block: CellBlock) -> np.ndarray:
    """Half for each decisive gene that is there."""
    return np.asarray((block.expression[:, DECISIVE] > 0).mean(axis=1)).ravel()


def test_ranks_hold_expressed_genes_alone_best_first() -> None:
    block = make_block()
    scores = np.tile(np.arange(N_GENES, dtype=float), (4, 1))
    orders = ranked_genes(scores, block.expression)
    assert [len(order) for order in orders] == [99] * 4
    assert orders[0][0] == 99
    assert 80 not in orders[0]
    shuffled = shuffled_genes(block.expression, np.random.default_rng(0))
    assert sorted(shuffled[1]) == sorted(orders[1])
    assert list(shuffled[1]) != sorted(orders[1])


def test_removing_the_decisive_genes_first_ends_the_answer() -> None:
    block = make_block()
    scores = np.zeros((4, N_GENES))
    scores[:, DECISIVE] = (2.0, 1.0)
    deletion, insertion = curves(probability, block, ranked_genes(scores, block.expression))
    # .5 % of 99 genes is one gene, 1 % too, 2 % is two.
    np.testing.assert_allclose(deletion[0], [1, 0.5, 0.5, *[0] * (len(SHARES) - 2)])
    np.testing.assert_allclose(insertion[0], [0.5, 0.5, *[1] * (len(SHARES) - 1)])
    worst, late = curves(probability, block, ranked_genes(-scores, block.expression))
    assert (area(worst) > area(deletion)).all()
    assert (area(late) < area(insertion)).all()
    assert worst[0, -1] == 1


def test_the_block_is_left_as_it_was() -> None:
    block = make_block()
    before = block.expression.copy()
    curves(probability, block, shuffled_genes(block.expression, np.random.default_rng(0)))
    assert (block.expression != before).nnz == 0


def test_correlations_are_over_expressed_genes() -> None:
    block = make_block(2)
    scores = np.random.default_rng(1).normal(size=(2, N_GENES))
    changed = scores.copy()
    changed[0, 80] = 1e6
    np.testing.assert_allclose(rank_correlations(scores, changed, block.expression), [1, 1])
    np.testing.assert_allclose(rank_correlations(scores, -scores, block.expression), [-1, -1])
    constant = np.zeros_like(scores)
    assert np.isnan(rank_correlations(scores, constant, block.expression)).all()


def test_unrelated_maps_do_not_correlate() -> None:
    block = make_block(4)
    one, other = np.random.default_rng(2).normal(size=(2, 4, N_GENES))
    assert abs(rank_correlations(one, other, block.expression).mean()) < 0.15
    assert rank_correlations(one, one, block.expression).mean() == pytest.approx(1)
