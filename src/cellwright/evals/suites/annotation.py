"""Annotation: the cell model's ReadOut beside simple systems, on cells that it was not shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cellwright.evals.annotation_figures import draw_overview, draw_pair
from cellwright.evals.baselines import BASELINES, LabelledCells
from cellwright.evals.cells import CellFile, coarse_types, pool_files, read_file
from cellwright.evals.doublets import doublet_auroc
from cellwright.evals.scorers import Labelling, score_labels
from cellwright.evals.task import OURS, EvalContext, EvalRow, EvalTask, Score, merge_seeds
from cellwright.evals.trained import seed_models, train_model
from cellwright.evals.unseen_types import unseen_types

if TYPE_CHECKING:
    from cellwright.cellmodel.inference import CellModel

SUITE = "annotation"
STUDY_TEST = "pbmc68k_reduced_700"
STUDY_TRAIN = ("pbmc3k_2638", "kang_pbmc_ctrl_12261")
ISLETS = ("xin2016_islet_674", "wang_islet_501x219", "baron_h1_1937")
MAX_STUDY_CELLS = 3000
DRAWN = ("pbmc3k_2638", "kang_pbmc_ctrl_12261", "baron_h1_1937", "mca_gut_1871")
COARSE = {
    "CL:0000236": "B cell",
    "CL:0000084": "T cell",
    "CL:0000623": "NK cell",
    "CL:0000576": "monocyte",
    "CL:0000451": "dendritic cell",
}


def run(context: EvalContext) -> list[EvalRow]:
    """Random, donor and study splits of each seed, types never seen, and artificial doublets."""
    found: list[list[EvalRow]] = []
    for seed, model in ((one.seed, one.model) for one in seed_models(context)):
        first = not found
        found.append(_splits(context, model, seed, draw=first) + _blood(context, model, seed))
    rows = merge_seeds(found)
    rows += merge_seeds([_islets(context, seed) for seed in range(context.seeds)])
    return rows + unseen_types(context) + doublet_auroc(context)


def _splits(context: EvalContext, model: CellModel, seed: int, *, draw: bool) -> list[EvalRow]:
    """Every training set on its own test cells, and all of these pooled for calibration."""
    from cellwright.cellmodel.data.registry import training_sets

    rows: list[EvalRow] = []
    answers: list[tuple[np.ndarray, Labelling]] = []
    files = []
    for card in training_sets("cell type"):
        file = read_file(card.name, context, seed=seed)
        if file is None:
            continue
        files.append(file)
        data, test = file.labelled(), file.parts["test"]
        own = _among(data, model=model, file=file, rows=test, candidates=file.labels)
        answers.append((data.test_labels, own))
        rows += _task(card.name, file.card.split, data, {OURS: partial(_given, own)}, context)
        if draw and card.name in DRAWN:
            draw_pair(file, test, own.labels, context.figures)
    if draw:
        draw_overview(files, model, context.figures)
    return rows + _pooled(answers)


def _pooled(answers: Sequence[tuple[np.ndarray, Labelling]]) -> list[EvalRow]:
    """Calibration over the test cells of all sets, each cell alike."""
    truth = np.concatenate([labels for labels, _ in answers])
    sure = [answer.confidence for _, answer in answers if answer.confidence is not None]
    every = Labelling(
        labels=np.concatenate([answer.labels for _, answer in answers]),
        confidence=np.concatenate(sure),
        sets=[one for _, answer in answers for one in answer.sets or ()],
    )
    scores = score_labels(truth, every)
    kept = ("calibration_error", "set_coverage", "set_size", "sets_empty")
    return [
        EvalRow(
            suite=SUITE,
            data="all test cells",
            split="random and donor",
            metric=metric,
            system=OURS,
            **scores[metric].model_dump(),
        )
        for metric in kept
    ]


def _task(
    name: str,
    split: str,
    data: LabelledCells,
    ours: Mapping[str, Callable[[LabelledCells], Labelling]],
    context: EvalContext,
) -> list[EvalRow]:
    return EvalTask[LabelledCells, Labelling](
        suite=SUITE,
        data=name,
        split=split,
        dataset=data,
        solvers={**ours, **BASELINES},
        scorer=_score,
    ).run(context.say)


def _given(answer: Labelling, _data: LabelledCells) -> Labelling:
    return answer


def _score(data: LabelledCells, answer: Labelling) -> Mapping[str, Score]:
    return score_labels(data.test_labels, answer)


def _among(
    _data: LabelledCells,
    *,
    model: CellModel,
    file: CellFile,
    rows: np.ndarray,
    candidates: Sequence[str],
    forced: bool = False,
) -> Labelling:
    """The cell model among named labels; ``unknown`` is an answer and counts as wrong.

    Where ``forced``, the best candidate stands for cells out of the model's range too.
    """
    found = model.annotate(file.block(model.vocabulary, rows), candidates=list(candidates))
    if forced:
        best = np.array(found.candidates, dtype=object)[found.probabilities.argmax(axis=1)]
        return Labelling(labels=best, confidence=found.scores)
    return Labelling(labels=found.labels, confidence=found.scores, sets=found.label_sets)


def _own_types(
    _data: LabelledCells,
    *,
    model: CellModel,
    file: CellFile,
    rows: np.ndarray,
    context: EvalContext,
) -> Labelling:
    """The model's own fine types of the tissue, each counted as the coarse type above it."""
    block = file.block(model.vocabulary, rows)
    found = model.annotate(block, species=file.card.species, tissue=file.card.tissue)
    coarse = coarse_types(found.ontology_ids, COARSE, context.knowledge.ontology)
    labels = np.where(coarse == "", "other", coarse).astype(object)
    return Labelling(labels=labels, confidence=found.scores)


def _blood(context: EvalContext, model: CellModel, seed: int) -> list[EvalRow]:
    """Other blood studies onto ``pbmc68k_reduced``, labels joined at five coarse types."""
    files = [read_file(name, context, seed=seed) for name in (*STUDY_TRAIN, STUDY_TEST)]
    known = [file for file in files if file is not None]
    if len(known) < len(files):
        return []
    ontology = context.knowledge.ontology
    coarse = [coarse_types(file.ids, COARSE, ontology) for file in known]
    data, kept = pool_files(
        known[:-1], coarse[:-1], known[-1], coarse[-1], most=MAX_STUDY_CELLS, seed=seed
    )
    ours = {
        OURS: partial(_own_types, model=model, file=known[-1], rows=kept, context=context),
        f"{OURS}-named": partial(
            _among,
            model=model,
            file=known[-1],
            rows=kept,
            candidates=[name for name in COARSE.values() if name in set(data.test_labels)],
        ),
    }
    return _task(STUDY_TEST, "study", data, ours, context)


def _islets(context: EvalContext, seed: int) -> list[EvalRow]:
    """Each islet study from the others; the model is trained anew without it.

    The other systems learn on the genes that both sides have, so ours is also trained for the
    genes of the study left out (``-panel``). Where the best candidate stands even for cells out of
    the model's range, the name ends in ``-no-unknown``: the other systems never say ``unknown``.
    """
    from cellwright.cellmodel.data.registry import training_sets
    from cellwright.cellmodel.presets import PRESETS

    files = {name: read_file(name, context, seed=seed) for name in ISLETS}
    there = {name: file for name, file in files.items() if file is not None}
    rows: list[EvalRow] = []
    for name, test in there.items():
        others = [file for other, file in there.items() if other != name]
        if not others:
            continue
        cards = [card for card in training_sets("cell type") if card.name != name]
        shared = {label for file in others for label in file.names}
        truth = np.array([label if label in shared else "" for label in test.names], object)
        data, kept = pool_files(
            others, [file.names for file in others], test, truth, most=MAX_STUDY_CELLS, seed=seed
        )
        solvers: dict[str, Callable[[LabelledCells], Labelling]] = {}
        for system, panel in ((OURS, ()), (f"{OURS}-panel", test.genes)):
            model = train_model(
                context,
                f"without-{name}{system.removeprefix(OURS)}-{seed}",
                PRESETS["quick"](),
                seed=seed,
                cards=cards,
                panel=panel,
            )
            asked = partial(_among, model=model, file=test, rows=kept, candidates=sorted(shared))
            solvers |= {system: asked, f"{system}-no-unknown": partial(asked, forced=True)}
        rows += _task(name, "study", data, solvers, context)
    return rows
