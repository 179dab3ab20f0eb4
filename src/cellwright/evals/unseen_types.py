"""Types that a model never saw, or saw a few cells of: what the text of genes and labels is worth.

Some types are left out of all training sets. The same recipe is trained twice, with the text
vectors of genes and labels and with random vectors in their place, and both are asked about cells
of the types left out. The first model's range is also held against them: they are unknown to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.cells import CellFile, read_file
from cellwright.evals.metrics import auroc, macro_f1
from cellwright.evals.task import OURS, EvalContext, EvalRow, Score, merge_seeds
from cellwright.evals.trained import train_model

if TYPE_CHECKING:
    from cellwright.cellmodel.data.registry import LabelRow
    from cellwright.cellmodel.inference import CellModel

SUITE = "annotation"
LEFT_OUT_SHARE = 0.15
FEWEST_CELLS = 40
SHOTS = (5, 10, 20)
MOST_CELLS = 150
NO_TEXT = f"{OURS}-without-text"
UNSEEN_FILES = ("gbm_panobinostat_5000", "ngp_nutlin_83", "pc9_erlotinib_day11_resistant_only")
"""Files of tissues and lines that no model was trained on."""


def unseen_types(context: EvalContext) -> list[EvalRow]:
    """Zero- and few-shot accuracy with and without text, and the detection of unknown cells."""
    return merge_seeds([_one_seed(context, seed) for seed in range(context.seeds)])


def random_vectors(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors that say nothing of their texts, ``(N, 384)``; equal texts get equal ones."""
    rows = []
    for text in texts:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        rows.append(np.random.default_rng(seed).normal(size=384))
    table = np.array(rows, dtype=np.float32).reshape(-1, 384)
    return table / np.linalg.norm(table, axis=1, keepdims=True)


@dataclass(frozen=True)
class _Case:
    """A file with types left out of training: where to find examples and test cells."""

    file: CellFile
    types: tuple[str, ...]

    def rows(self, name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cells to show, and cells to test on, of a type."""
        order = rng.permutation(np.flatnonzero(self.file.names == name))
        most = min(max(SHOTS), len(order) // 2)
        return order[:most], order[most : most + MOST_CELLS]


def _one_seed(context: EvalContext, seed: int) -> list[EvalRow]:
    from cellwright.cellmodel.data.registry import label_table, training_sets
    from cellwright.cellmodel.presets import PRESETS

    files = [read_file(card.name, context, seed=seed) for card in training_sets("cell type")]
    known = [file for file in files if file is not None]
    left_out = choose_types(known, seed=seed)
    table: Mapping[str, Mapping[str, LabelRow]] = {
        name: {label: row for label, row in rows.items() if row.name not in left_out}
        for name, rows in label_table().items()
    }
    models = {
        system: train_model(
            context, f"{name}-{seed}", PRESETS["quick"](), seed=seed, table=table, embed=embed
        )
        for system, name, embed in (
            (OURS, "types-left-out", None),
            (NO_TEXT, "types-left-out-no-text", random_vectors),
        )
    }
    # A type of which the model knows a narrower kind is not new to it.
    space = models[OURS].checkpoint.labels
    new = {name for name in left_out if not space.members(name)}
    cases = [
        _Case(file, tuple(sorted(new & set(file.names)))) for file in known if new & set(file.names)
    ]
    rows = [row for system, model in models.items() for row in _shots(system, model, cases, seed)]
    return rows + _unknown(context, models[OURS], known, cases, left_out=left_out, seed=seed)


def choose_types(files: Sequence[CellFile], *, seed: int) -> frozenset[str]:
    """Types to leave out: of files with five types or more, with cells enough to test on."""
    counts: dict[str, int] = {}
    for file in files:
        if len(file.labels) >= 5:
            for name, n in zip(*np.unique(file.names.astype(str), return_counts=True), strict=True):
                counts[str(name)] = max(counts.get(str(name), 0), int(n))
    able = sorted(name for name, n in counts.items() if n >= FEWEST_CELLS)
    size = max(1, round(LEFT_OUT_SHARE * len(able)))
    return frozenset(np.random.default_rng(seed).choice(able, size=size, replace=False).tolist())


def _shots(system: str, model: CellModel, cases: Sequence[_Case], seed: int) -> list[EvalRow]:
    """Accuracy on cells of the types left out, among all types of their file."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, str], list[float]] = {}
    cells = 0
    for case in cases:
        picks = {name: case.rows(name, rng) for name in case.types}
        test = np.concatenate([rows for _, rows in picks.values()])
        truth = case.file.names[test]
        cells += len(test)
        block = case.file.block(model.vocabulary, test)
        for k in (0, *SHOTS):
            taught = model
            for name, (shown, _) in picks.items() if k else ():
                taught = taught.taught(name, case.file.block(model.vocabulary, shown[:k]))
            answer = taught.annotate(block, candidates=case.file.labels)
            names = np.array(answer.candidates, object)
            order = np.argsort(-answer.probabilities, axis=1, kind="stable")
            for rank in (1, 3):
                hit = (names[order[:, :rank]] == truth[:, None]).any(axis=1)
                own = [hit[truth == name].mean() for name in case.types]
                found.setdefault((k, f"top_{rank}"), []).extend(float(one) for one in own)
            guess = names[order[:, 0]]
            f1 = macro_f1(list(truth), list(guess), list(case.types))
            found.setdefault((k, "macro_f1"), []).append(f1)
        chance = 3 / len(case.file.labels)
        found.setdefault((0, "chance_top_3"), []).extend(chance for _ in case.types)
    return [
        _row(
            "types left out",
            f"{k} cells shown",
            metric,
            system,
            value=float(np.mean(values)),
            n=cells,
        )
        for (k, metric), values in found.items()
    ]


def _unknown(
    context: EvalContext,
    model: CellModel,
    files: Sequence[CellFile],
    cases: Sequence[_Case],
    *,
    left_out: frozenset[str],
    seed: int,
) -> list[EvalRow]:
    """How well the range score, and the largest probability, tell unknown cells from known."""
    rng = np.random.default_rng(seed)

    def measured(file: CellFile, rows: np.ndarray) -> dict[str, np.ndarray]:
        block = file.block(model.vocabulary, rng.permutation(rows)[:MOST_CELLS])
        answer = model.annotate(block, species=file.card.species)
        return {OURS: answer.familiarity, "largest-probability": answer.probabilities.max(axis=1)}

    tests = [
        (file, test[~np.isin(file.names[test].astype(str), sorted(left_out))])
        for file in files
        for test in (file.parts["test"],)
    ]
    known = [measured(file, rows) for file, rows in tests if rows.size]
    types = [
        measured(case.file, np.flatnonzero(np.isin(case.file.names, case.types))) for case in cases
    ]
    tissues = [measured(file, np.arange(len(file.obs))) for file in _unseen(context)]
    rows = []
    for split, unknown in (("types left out", types), ("tissues never seen", tissues)):
        for system in (OURS, "largest-probability") if unknown else ():
            inside = np.concatenate([one[system] for one in known])
            outside = np.concatenate([one[system] for one in unknown])
            value = auroc(inside, outside)
            rows.append(_row("unknown cells", split, "auroc", system, value=value, n=len(outside)))
    return rows


def _unseen(context: EvalContext) -> list[CellFile]:
    found = [read_file(name, context, seed=0, labelled=False) for name in UNSEEN_FILES]
    return [file for file in found if file is not None]


def _row(data: str, split: str, metric: str, system: str, *, value: float, n: int) -> EvalRow:
    score: dict[str, Any] = Score(mean=value, low=value, high=value, n=n).model_dump()
    return EvalRow(suite=SUITE, data=data, split=split, metric=metric, system=system, **score)
