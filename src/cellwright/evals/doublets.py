"""Doublet scores on artificial doublets: sums of two real cells of different types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.metrics import over_seeds
from cellwright.evals.task import OURS, EvalContext, EvalRow, Unavailable

if TYPE_CHECKING:
    from cellwright.cellmodel.inference import CellModel
    from cellwright.evals.cells import CellFile

SUITE = "annotation"
WHOLE = "artificial doublets"
THINNED = "artificial doublets, thinned to the depth of one cell"
LIBRARY = "library size"
SETS = ("pbmc3k_2638", "kang_pbmc_ctrl_12261", "telencephalon_4474", "mca_gut_1871")
RATE = 0.05
"""Doublets added, as a share of the cells."""

MAX_CELLS = 3000
"""Cells of a set that a seed takes."""


def doublet_auroc(context: EvalContext, sets: Sequence[str] = SETS) -> list[EvalRow]:
    """How well doublets added to real cells are told from them, beside library size.

    For each seed, sums of two cells of different types of one sample are added to the cells, and
    all are called by the cell model and scored as ``annotate_cells`` does. A sum holds the counts
    of two cells, so library size alone finds many; thinned to the mean depth of its two cells it
    does not. Real cells count as single, though a few will be doublets.

    Metrics are ``auroc``, and ``doublets_found`` where each system flags the share of real cells
    that Cellwright's threshold flags (``flagged``).

    Args:
        context: Data folder and cell model.
        sets: Names of data sets with raw counts.

    Raises:
        Unavailable: There is no checkpoint.
    """
    rows: list[EvalRow] = []
    for name in sets:
        runs = [_one_seed(name, context, seed) for seed in range(context.seeds)]
        found = [run for run in runs if run]
        keys = list(found[0]) if found else []
        n = int(found[0][WHOLE, "n", OURS]) if found else 0
        rows += [
            EvalRow(
                suite=SUITE,
                data=name,
                split=split,
                metric=metric,
                system=system,
                **over_seeds([run[split, metric, system] for run in found], n).model_dump(),
            )
            for split, metric, system in keys
            if metric != "n"
        ]
    return rows


Figures = dict[tuple[str, str, str], float]


def _one_seed(name: str, context: EvalContext, seed: int) -> Figures:
    """Figures by split, metric and system; none where the file is missing."""
    from scipy import sparse

    from cellwright.evals.cells import read_file

    file = read_file(name, context, seed=seed)
    if file is None:
        return {}
    context.say(f"{SUITE}: artificial doublets in {name}, seed {seed}")
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(len(file.names))[:MAX_CELLS])
    counts = file.matrix[kept].astype(np.float32)
    samples = samples_of(file)[kept]
    first, second = draw_doublets(file.names[kept], samples, rng)
    figures: Figures = {}
    for split in (WHOLE, THINNED):
        sums = add(counts, first, second, rng, thin=split == THINNED)
        cells = sparse.vstack([counts, sums]).tocsr()
        origin = np.concatenate([samples, samples[first]])
        found = _measure(file, cells, origin, len(kept), model=context.cell_model, seed=seed)
        figures |= {(split, metric, system): value for (metric, system), value in found.items()}
    return figures


def _measure(
    file: CellFile,
    cells: Any,
    samples: np.ndarray,
    n_single: int,
    *,
    model: CellModel | None,
    seed: int,
) -> dict[tuple[str, str], float]:
    """Figures by metric and system; the first ``n_single`` cells are as measured."""
    from sklearn.metrics import roc_auc_score

    from cellwright.cellmodel.data.block import make_block
    from cellwright.tools.doublets import SURE, score_doublets

    if model is None:
        msg = "there is no checkpoint yet"
        raise Unavailable(msg)
    truth = np.arange(cells.shape[0]) >= n_single
    block = make_block(cells, file.keys, model.vocabulary, "counts")
    called = model.annotate(block, species=file.card.species, tissue=file.card.tissue).labels
    types = np.array([str(one) for one in called], dtype=object)
    ours = score_doublets(cells, types, samples, seed=seed).score
    scored = ~np.isnan(ours)
    systems = {OURS: ours, LIBRARY: np.asarray(cells.sum(axis=1)).ravel()}
    flagged = float((ours[scored & ~truth] >= SURE).mean())
    found = {("n", OURS): float((truth & scored).sum()), ("flagged", OURS): flagged}
    for system, values in systems.items():
        single, double = values[scored & ~truth], values[scored & truth]
        found["auroc", system] = float(roc_auc_score(truth[scored], values[scored]))
        limit = np.quantile(single, 1 - flagged)
        found["doublets_found", system] = float((double > limit).mean())
    return found


def samples_of(file: CellFile) -> np.ndarray:
    """(B,) object, donor of each cell; empty where the file names none."""
    column = file.card.donor_column
    if not column:
        return np.full(len(file.names), "", dtype=object)
    return np.asarray(file.obs[column].astype(str), dtype=object)


def draw_doublets(
    types: np.ndarray, samples: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of pairs of cells of one sample and different types, ``RATE`` of the cells.

    Args:
        types: (B,) object, true types.
        samples: (B,) object.
        rng: Source of the draws.
    """
    wanted = max(1, round(RATE * len(types)))
    first: list[int] = []
    second: list[int] = []
    for _attempt in range(100 * wanted):
        one, other = rng.integers(len(types), size=2)
        if samples[one] == samples[other] and types[one] != types[other]:
            first.append(int(one))
            second.append(int(other))
        if len(first) == wanted:
            break
    return np.array(first, dtype=int), np.array(second, dtype=int)


def add(
    counts: Any, first: np.ndarray, second: np.ndarray, rng: np.random.Generator, *, thin: bool
) -> Any:
    """Sums of pairs of cells, ``(N, G)`` csr.

    Args:
        counts: (B, G) csr.
        first: (N,) positions.
        second: (N,) positions.
        rng: Source of the draws.
        thin: Whether each count is kept with a chance of one half.
    """
    sums = (counts[first] + counts[second]).tocsr()
    if thin:
        sums.data = rng.binomial(np.rint(sums.data).astype(np.int64), 0.5).astype(np.float32)
        sums.eliminate_zeros()
    return sums
