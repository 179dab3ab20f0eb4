"""Response labels: the Sensitive / Resistant task of InstructCell, where a label means response.

Two sets here have labels that do: parental against resistant A375 cells under PLX-4720 (108 cells,
z-scores, split at random), and the patients of a melanoma study by their response to checkpoint
therapy (550 T cells). The latter is a property of the patient and no cytotoxicity, so whole
patients are held out; the same cells split at random are shown beside it, for what such a split is
worth. The paper's own three sets are not here: same protocol, other data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.baselines import BASELINES, LabelledCells, celltypist, logistic, majority
from cellwright.evals.cells import CellFile, read_file
from cellwright.evals.metrics import wilson
from cellwright.evals.response_figures import Shown, draw_response
from cellwright.evals.scorers import Labelling, score_labels
from cellwright.evals.task import (
    OURS,
    EvalContext,
    EvalRow,
    EvalTask,
    Score,
    Unavailable,
    merge_seeds,
)
from cellwright.evals.trained import seed_models

if TYPE_CHECKING:
    from cellwright.cellmodel.inference import CellModel

SUITE = "drug-labels"
LINE = "scad_PLX4720_A375_z"
PATIENTS = "sadefeldman_icb_550:response"
PATIENT_OF_CELL = "sadefeldman_icb_550, which patient"
METRICS = ("macro_f1", "weighted_f1", "accuracy")
SHUFFLED = "labels shuffled"
FOLDS = 5
FORCED = f"{OURS}-no-unknown"
"""The ReadOut's first choice even where it says ``unknown``: what its range costs here."""


def run(context: EvalContext) -> list[EvalRow]:
    """Held-out cells of the line and held-out patients, each beside its controls."""
    runs = []
    for at, (seed, model) in enumerate(_models(context)):
        rows: list[EvalRow] = []
        for name in (LINE, PATIENTS):
            file = read_file(name, context, seed=seed)
            if file is None:
                continue
            rows += _own_split(file, model, context, draw=at == 0)
            rows += _shuffled(file, context, seed)
            if name == PATIENTS:
                rows += _random_cells(file, context, seed)
                rows += _in_folds(file, context, seed)
        runs.append(rows)
    return merge_seeds(runs)


def _models(context: EvalContext) -> list[tuple[int, CellModel | None]]:
    """Seeds with the model of each; without a checkpoint the baselines are still measured."""
    try:
        return [(one.seed, one.model) for one in seed_models(context)]
    except Unavailable as error:
        context.say(f"{SUITE}: {OURS} left out: {error}")
        return [(seed, None) for seed in range(context.seeds)]


# -- splits ------------------------------------------------------------------------------------


def _own_split(
    file: CellFile, model: CellModel | None, context: EvalContext, *, draw: bool
) -> list[EvalRow]:
    """The split that the model was trained with: random for the line, by patient for patients."""
    answers: dict[str, Labelling] = {}
    solvers: dict[str, Callable[[LabelledCells], Labelling]] = {
        OURS: partial(_read_out, file=file, model=model),
        FORCED: partial(_read_out, file=file, model=model, forced=True),
        **BASELINES,
    }
    if file.card.state == "scaled":
        # What the model reads is never negative, which CellTypist needs.
        as_read = file.labelled()
        solvers["logistic-as-read"] = lambda _cells: logistic(as_read)
        solvers["celltypist"] = lambda _cells: celltypist(as_read)
    kept = {system: _keeping(solve, answers, system) for system, solve in solvers.items()}
    rows = _task(file, _cells(file), file.card.split, kept, context)
    if file.card.donor_column:
        rows += _votes(file, answers)
    if draw:
        best = OURS if OURS in answers else "logistic"
        for system in dict.fromkeys((best, "logistic")):
            _draw(file, answers[system], system, context)
    return rows


def _shuffled(file: CellFile, context: EvalContext, seed: int) -> list[EvalRow]:
    """What the split gives a classifier whose training labels mean nothing.

    Labels of patients are shuffled among patients: cells of one patient keep one label, so that
    what is lost is the response and not that the cells of a patient are alike.
    """
    cells = _cells(file)
    rng = np.random.default_rng(seed)
    rows = _training_rows(file)
    if file.card.donor_column:
        labels = shuffle_groups(cells.train_labels, _donors(file)[rows], rng)
    else:
        labels = rng.permutation(cells.train_labels)
    data = dataclasses.replace(cells, train_labels=labels)
    return _task(file, data, f"{file.card.split}, {SHUFFLED}", {"logistic": logistic}, context)


def _random_cells(file: CellFile, context: EvalContext, seed: int) -> list[EvalRow]:
    """The same cells split at random, each patient on both sides: a leak, and how large it is.

    The cell model is left out: it is trained on whole patients, so a random test cell is one of
    its training cells or of a patient that it has never seen.
    """
    from cellwright.cellmodel.data.splits import random_split

    context.say(f"{SUITE}: {OURS} left out of the random split: it is trained on whole patients")
    parts = random_split(len(file.names), seed=seed)
    leaky = dataclasses.replace(
        file, card=dataclasses.replace(file.card, split="random"), parts=parts
    )
    rows = _task(leaky, _cells(leaky), "random", BASELINES, context)
    patients = _donors(leaky)
    who = dataclasses.replace(
        _cells(leaky),
        train_labels=patients[_training_rows(leaky)],
        test_labels=patients[parts["test"]],
    )
    solvers = {"logistic": logistic, "majority": majority}
    return rows + _task(leaky, who, "random", solvers, context, data=PATIENT_OF_CELL)


def _in_folds(file: CellFile, context: EvalContext, seed: int) -> list[EvalRow]:
    """Every cell tested once, in folds of patients and in folds of cells.

    A few held-out patients say little of a property of patients; over all of them the two splits
    can be told apart, and from labels that mean nothing. No model of ours is trained on them.
    """
    rng = np.random.default_rng(seed)
    patients = _donors(file)
    names = rng.permutation(np.unique(patients.astype(str)))
    place = {name: at % FOLDS for at, name in enumerate(names)}
    by_patient = np.array([place[str(one)] for one in patients])
    by_cell = rng.permutation(len(patients)) % FOLDS
    handed = shuffle_groups(file.names, patients, rng)
    rows = []
    for split, folds, labels in (
        (f"donor, {FOLDS} folds", by_patient, file.names),
        (f"donor, {FOLDS} folds, {SHUFFLED}", by_patient, handed),
        (f"random, {FOLDS} folds", by_cell, file.names),
    ):
        context.say(f"{SUITE}: {file.card.name}, {split}")
        for system, solve in (("logistic", logistic), ("majority", majority)):
            guess = np.empty(len(labels), dtype=object)
            for fold in range(FOLDS):
                test = folds == fold
                cells = LabelledCells(
                    train=file.log[~test],
                    train_labels=labels[~test],
                    test=file.log[test],
                    test_labels=labels[test],
                    genes=file.genes,
                )
                guess[test] = solve(cells).labels
            scores = score_labels(labels, Labelling(labels=guess))
            rows += [_row(file, split, metric, system, scores[metric]) for metric in METRICS]
    return rows


def shuffle_groups(labels: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels ``(B,)`` handed around among groups, every cell of a group the same one."""
    names, first = np.unique(groups.astype(str), return_index=True)
    given = dict(zip(names, rng.permutation(labels[first]), strict=True))
    return np.array([given[str(group)] for group in groups], dtype=object)


# -- systems and scores ------------------------------------------------------------------------


def _read_out(
    _data: LabelledCells, *, file: CellFile, model: CellModel | None, forced: bool = False
) -> Labelling:
    """The ReadOut between the two labels; ``unknown`` is an answer and counts as wrong."""
    if model is None:
        msg = "there is no checkpoint yet"
        raise Unavailable(msg)
    known = set(model.checkpoint.labels.names)
    missing = [label for label in file.labels if label not in known]
    if missing:
        msg = f"the model was not trained on {file.card.name}: it has no {', '.join(missing)}"
        raise Unavailable(msg)
    block = file.block(model.vocabulary, file.parts["test"])
    found = model.annotate(block, candidates=file.labels)
    labels = found.labels
    if forced:
        labels = np.array(found.candidates, object)[found.probabilities.argmax(axis=1)]
    return Labelling(labels=labels, confidence=found.scores)


def _cells(file: CellFile) -> LabelledCells:
    """The split as baselines take it: z-scores as they are, all else as log1p CP10k."""
    cells = file.labelled()
    if file.card.state != "scaled":
        return cells
    return dataclasses.replace(
        cells,
        train=file.matrix[_training_rows(file)],
        test=file.matrix[file.parts["test"]],
        genes=tuple(key or f"unknown:{at}" for at, key in enumerate(file.keys)),
    )


def _training_rows(file: CellFile) -> np.ndarray:
    """Cells that baselines learn from, in the order of ``CellFile.labelled``."""
    return np.sort(np.concatenate([file.parts["train"], file.parts["valid"]]))


def _donors(file: CellFile) -> np.ndarray:
    return np.asarray(file.obs[file.card.donor_column].astype(str).to_numpy(), dtype=object)


def _task(
    file: CellFile,
    cells: LabelledCells,
    split: str,
    solvers: Mapping[str, Callable[[LabelledCells], Labelling]],
    context: EvalContext,
    *,
    data: str = "",
) -> list[EvalRow]:
    return EvalTask[LabelledCells, Labelling](
        suite=SUITE,
        data=data or file.card.name,
        split=split,
        dataset=cells,
        solvers=solvers,
        scorer=_score,
    ).run(context.say)


def _score(data: LabelledCells, answer: Labelling) -> Mapping[str, Score]:
    scores = score_labels(data.test_labels, answer)
    return {metric: scores[metric] for metric in METRICS}


def _keeping(
    solve: Callable[[LabelledCells], Labelling], answers: dict[str, Labelling], system: str
) -> Callable[[LabelledCells], Labelling]:
    def solved(cells: LabelledCells) -> Labelling:
        answers[system] = solve(cells)
        return answers[system]

    return solved


def _votes(file: CellFile, answers: Mapping[str, Labelling]) -> list[EvalRow]:
    """Held-out patients whose cells are given the right label more often than any other."""
    test = file.parts["test"]
    truth, patients = file.names[test], _donors(file)[test]
    rows = []
    for system, answer in answers.items():
        hits, names = 0, np.unique(patients.astype(str))
        for name in names:
            own = patients == name
            hits += most_frequent(answer.labels[own]) == truth[own][0]
        score = wilson(hits, len(names))
        rows.append(_row(file, file.card.split, "patient_accuracy", system, score))
    return rows


def _row(file: CellFile, split: str, metric: str, system: str, score: Score) -> EvalRow:
    return EvalRow(
        suite=SUITE,
        data=file.card.name,
        split=split,
        metric=metric,
        system=system,
        **score.model_dump(),
    )


def most_frequent(labels: Sequence[Any]) -> str:
    """The label that occurs most; of equals the first in the alphabet."""
    names, counts = np.unique(np.asarray(labels, dtype=str), return_counts=True)
    return str(names[counts.argmax()])


def _draw(file: CellFile, answer: Labelling, system: str, context: EvalContext) -> None:
    matrix = file.matrix if file.card.state == "scaled" else file.log
    test = file.parts["test"]
    shown = Shown(
        name=file.card.name.partition("_")[0],
        system=system,
        matrix=matrix,
        labels=file.names,
        test=test,
        guess=answer.labels,
    )
    draw_response(shown, context.figures)
