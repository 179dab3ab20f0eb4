"""Leakage: what of a test is known from training, counted for the packaged model's own split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.cells import CellFile, read_file
from cellwright.evals.task import OURS, EvalContext, EvalRow

if TYPE_CHECKING:
    from cellwright.cellmodel.data.splits import Part

SUITE = "leakage"
SEED = 0
"""Seed of the split of the packaged model."""
DRAWN = "split-as-drawn"
"""The same split before training cells that equal a held-out one are dropped."""
RANDOM = "random-split"
"""Cells split at random where donors are named."""
FEWEST_SHARED = 200
"""Genes that two files must share for their cells to be compared."""
BLOCK = 512


def run(context: EvalContext) -> list[EvalRow]:
    """Counts of test cells that training has seen in some way; every count should be 0.

    ``near_duplicates`` are test cells of which training cells of the same file hold an all but
    equal profile (cosine of log1p profiles above ``1 - NEAR``); ``near_duplicates_elsewhere`` the
    same against the training cells of all other files of the species; ``shared_donors`` are donors
    on both sides of a split by donors; ``trained_for_another_task`` are test cells whose file
    trains another task with these very cells.
    """
    from cellwright.cellmodel.data.registry import DATASETS

    cards = [card for card in DATASETS if not card.excluded or card.excluded.startswith("only")]
    files = [file for card in cards if (file := read_file(card.name, context, seed=SEED))]
    rows: list[EvalRow] = []
    for file in files:
        context.say(f"{SUITE}: {file.card.name}")
        rows += list(_of_file(file, [other for other in files if other is not file]))
    return rows


def _of_file(file: CellFile, others: list[CellFile]) -> Iterator[EvalRow]:
    from cellwright.cellmodel.data.splits import near_duplicates, random_split

    test = _tested(file)
    if not file.card.excluded:
        twins = near_duplicates(file.log, file.parts)
        kept = np.setdiff1d(file.parts["train"], twins)
        for system, train in ((DRAWN, file.parts["train"]), (OURS, kept)):
            found = _near(file.log[test], file.log[train])
            yield _row(file, "near_duplicates", system, int(found.sum()), len(test))
    seen = np.zeros(len(test), dtype=bool)
    for other in others:
        if other.card.species == file.card.species and other.card.name != _twin(file, other):
            seen |= _near_elsewhere(file, test, other)
    yield _row(file, "near_duplicates_elsewhere", OURS, int(seen.sum()), len(test))
    if file.split == "donor" and not file.card.excluded:
        donors = file.obs[file.card.donor_column].astype(str).to_numpy()
        splits = ((OURS, file.parts), (RANDOM, random_split(len(donors), seed=SEED)))
        for system, parts in splits:
            both = np.intersect1d(donors[parts["train"]], donors[parts["test"]])
            yield _row(file, "shared_donors", system, len(both), len(np.unique(donors)))
    for other in others:
        if other.card.name == _twin(file, other) and not other.card.excluded:
            theirs = set(other.obs.index[other.parts["train"]])
            again = sum(name in theirs for name in file.obs.index[test])
            yield _row(file, "trained_for_another_task", OURS, again, len(test))


def _tested(file: CellFile) -> np.ndarray:
    """Cells that are only ever tested on."""
    return np.arange(file.log.shape[0]) if file.card.excluded else file.parts["test"]


def _twin(file: CellFile, other: CellFile) -> str:
    """The other's name, where both are tasks on one file; empty otherwise."""
    mine, theirs = (one.card.name.partition(":")[0] for one in (file, other))
    return other.card.name if mine == theirs else ""


def _near_elsewhere(file: CellFile, test: np.ndarray, other: CellFile) -> np.ndarray:
    """Test cells that all but equal a training cell of another file, ``(B,)`` bool."""
    shared = sorted(set(file.genes) & set(other.genes))
    if len(shared) < FEWEST_SHARED or other.card.excluded or "scaled" in _states(file, other):
        return np.zeros(len(test), dtype=bool)
    mine, theirs = (
        one.log[:, [place[gene] for gene in shared]]
        for one, place in (
            (one, {g: at for at, g in enumerate(one.genes)}) for one in (file, other)
        )
    )
    part: Part = "train"
    return _near(mine[test], theirs[other.parts[part]])


def _states(*files: CellFile) -> set[str]:
    return {file.card.state for file in files}


def _near(cells: Any, others: Any) -> np.ndarray:
    """Cells that all but equal one of the others, ``(B,)`` bool."""
    from cellwright.cellmodel.data.splits import NEAR

    unit, rest = _unit(cells), _unit(others).T.tocsr()
    found = np.zeros(unit.shape[0], dtype=bool)
    for start in range(0, unit.shape[0], BLOCK):
        closest = (unit[start : start + BLOCK] @ rest).max(axis=1).toarray().ravel()
        found[start : start + BLOCK] = closest > 1 - NEAR
    return found


def _unit(cells: Any) -> Any:
    from scipy import sparse

    norms = np.sqrt(np.asarray(cells.multiply(cells).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(norms, 1e-9)) @ cells)


def _row(file: CellFile, metric: str, system: str, count: int, n: int) -> EvalRow:
    return EvalRow(
        suite=SUITE, data=file.card.name, split=file.split, metric=metric, system=system,
        mean=count, low=count, high=count, n=n,
    )  # fmt: skip
