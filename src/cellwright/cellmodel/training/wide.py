"""The linear term of the ReadOut: a convex problem, solved and not stepped through.

Joint training by small gradient steps leaves a linear term well short of the logistic regressions
that one would fit to each file alone. The same objective handed to a quasi-Newton solver does not.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cellwright.cellmodel.data.splits import Part
from cellwright.cellmodel.modeling.gene_vectors import INPUT_NORM
from cellwright.cellmodel.training.data import CellSampler, Corpus, Panels, hide_genes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Task:
    """Cells that choose among the same candidates, but for a mask."""

    matrix: sparse.csr_matrix
    transposed: sparse.csr_matrix
    labels: np.ndarray
    candidates: np.ndarray
    allowed: np.ndarray | None
    weights: np.ndarray


@dataclass(frozen=True)
class WideSolution:
    """Weights ``(L, V)`` and intercepts ``(L,)`` of the linear term."""

    weights: np.ndarray
    bias: np.ndarray


def unit_rows(expression: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows scaled to the norm that linear maps expect."""
    norm = np.sqrt(np.asarray(expression.multiply(expression).sum(axis=1)).ravel())
    factors = np.divide(INPUT_NORM, norm, out=np.zeros_like(norm), where=norm > 0)
    return sparse.csr_matrix(sparse.diags(factors.astype(np.float32)) @ expression)


def solve_wide(
    corpus: Corpus,
    *,
    iterations: int,
    l2: float,
    seed: int,
    parts: Sequence[Part] = ("train",),
    start: WideSolution | None = None,
    global_cells: int = 300,
    hidden_cells: int = 500,
) -> WideSolution:
    """Fit one linear classifier to all files.

    The loss of a cell is the cross-entropy among its file's types; for a sample of cells also
    among all types that do not overlap with the true one, and, as another sample, with genes
    hidden as other platforms hide them. Types are weighted by the inverse root of their size.

    Args:
        corpus: Files.
        iterations: Most iterations of L-BFGS.
        l2: Weight of half the squared norm of the weights.
        seed: Seed of the samples.
        parts: Cells that are read.
        start: Where to start from; None starts from zero.
        global_cells: Cells a file whose loss is also among all types.
        hidden_cells: Cells a file that are also seen with genes hidden.
    """
    from scipy.optimize import minimize

    tasks = _tasks(corpus, parts, seed, global_cells, hidden_cells)
    n_labels, n_genes = len(corpus.labels), len(corpus.vocabulary)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(n_genes + 1, n_labels).astype(np.float32)
        gradient = np.zeros_like(weights)
        loss = sum(_add_task(task, weights, gradient) for task in tasks)
        gradient[:-1] += l2 * weights[:-1]
        loss += 0.5 * l2 * float((weights[:-1].astype(np.float64) ** 2).sum())
        return loss, gradient.astype(np.float64).ravel()

    first = np.zeros((n_genes + 1, n_labels))
    if start is not None:
        first = np.concatenate([start.weights.T, start.bias[None]])
    result = minimize(
        objective,
        first.astype(np.float64).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "maxcor": 8},
    )
    logger.info("linear term: loss %.1f after %d iterations", result.fun, result.nit)
    weights = result.x.reshape(n_genes + 1, n_labels).astype(np.float32)
    return WideSolution(np.ascontiguousarray(weights[:-1].T), weights[-1])


def _tasks(
    corpus: Corpus, parts: Sequence[Part], seed: int, global_cells: int, hidden_cells: int
) -> list[_Task]:
    rng = np.random.default_rng(seed)
    sampler = CellSampler(corpus, panel_rate=0.0, drop=0.0)
    panels = Panels(corpus)
    everything = np.arange(len(corpus.labels))
    tasks, mixed, mixed_labels, mixed_sets = [], [], [], []
    for at, cells in enumerate(corpus.sets):
        train = cells.cells_of(parts)
        expression, labels = cells.block.expression[train], cells.labels[train]
        tasks.append(_task(expression, labels, cells.own, None))
        some = rng.choice(len(train), size=min(hidden_cells, len(train)), replace=False)
        sets = np.full(len(some), at)
        kept = panels.draw(sets, rng, rate=1.0)
        hidden = hide_genes(expression[some], kept, rng, drop=panels.drop(sets, 0.5))
        tasks.append(_task(hidden, labels[some], cells.own, None))
        if cells.card.task != "cell type":
            continue
        some = rng.choice(len(train), size=min(global_cells, len(train)), replace=False)
        sets = np.full(len(some), at)
        kept = panels.draw(sets, rng, rate=0.5)
        mixed.append(hide_genes(expression[some], kept, rng, drop=panels.drop(sets, 0.3)))
        mixed_labels.append(labels[some])
        mixed_sets.append(sets)
    if mixed:
        labels, sets = np.concatenate(mixed_labels), np.concatenate(mixed_sets)
        allowed = sampler.allowed(labels, sets, own=np.zeros(len(labels), dtype=bool))
        tasks.append(_task(sparse.vstack(mixed).tocsr(), labels, everything, allowed))
    return tasks


def _task(
    expression: sparse.csr_matrix,
    labels: np.ndarray,
    candidates: np.ndarray,
    allowed: np.ndarray | None,
) -> _Task:
    counts = np.bincount(labels)
    weights = 1 / np.sqrt(counts[labels])
    matrix = unit_rows(expression)
    return _Task(
        matrix=matrix,
        transposed=matrix.T.tocsr(),
        labels=np.searchsorted(candidates, labels),
        candidates=candidates,
        allowed=allowed,
        weights=(weights * len(labels) / weights.sum()).astype(np.float32),
    )


def _add_task(task: _Task, weights: np.ndarray, gradient: np.ndarray) -> float:
    columns = np.ascontiguousarray(weights[:-1, task.candidates])
    logits = task.matrix @ columns + weights[-1, task.candidates]
    if task.allowed is not None:
        logits = np.where(task.allowed, logits, -1e9)
    logits -= logits.max(axis=1, keepdims=True)
    share = np.exp(logits)
    total = share.sum(axis=1, keepdims=True)
    rows = np.arange(len(logits))
    loss = float((task.weights * (np.log(total[:, 0]) - logits[rows, task.labels])).sum())
    share /= total
    share[rows, task.labels] -= 1
    share *= task.weights[:, None]
    gradient[:-1, task.candidates] += task.transposed @ share
    gradient[-1, task.candidates] += share.sum(axis=0)
    return loss
