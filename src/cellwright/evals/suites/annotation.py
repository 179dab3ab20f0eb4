"""Annotation: the cell model's ReadOut beside simple systems, on cells that it was not shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.baselines import BASELINES, LabelledCells
from cellwright.evals.scorers import Labelling, score_labels
from cellwright.evals.task import OURS, EvalContext, EvalRow, EvalTask, Score, Unavailable

if TYPE_CHECKING:
    from cellwright.cellmodel.data.registry import DatasetCard
    from cellwright.cellmodel.inference import CellModel

SUITE = "annotation"
STUDY_TEST = "pbmc68k_reduced_700"
STUDY_TRAIN = ("pbmc3k_2638", "kang_pbmc_ctrl_12261")
MAX_STUDY_CELLS = 3000
COARSE = (
    ("CL:0000236", "B cell"),
    ("CL:0000084", "T cell"),
    ("CL:0000623", "NK cell"),
    ("CL:0000576", "monocyte"),
    ("CL:0000451", "dendritic cell"),
)


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file read: every labelled cell, on its own genes."""

    card: DatasetCard
    matrix: Any
    keys: Sequence[str | None]
    names: np.ndarray
    ids: np.ndarray
    parts: Mapping[Any, np.ndarray]
    log: Any
    genes: tuple[str, ...]


def run(context: EvalContext) -> list[EvalRow]:
    """Random (or donor) split of every training set, and the study split onto other blood."""
    from cellwright.cellmodel.data.registry import training_sets

    model = context.cell_model
    seed = _seed(model)
    rows: list[EvalRow] = []
    for card in training_sets():
        path = context.data_dir / f"{card.name}.h5ad"
        if not path.is_file():
            context.say(f"{SUITE}: {card.name} is missing, left out")
            continue
        file = _read(path, card, context, seed)
        split = "donor" if card.held_out_donors else "random"
        rows += _task(file, split, model).run(context.say)
    rows += _study(context, model, seed)
    return rows


def _seed(model: CellModel | None) -> int:
    """Seed of the shipped checkpoint's splits: its test cells are the only ones it has not seen."""
    if model is None:
        return 0
    return int(model.card.get("seed", getattr(model.network.config, "seed", 0)))


def _read(path: Path, card: DatasetCard, context: EvalContext, seed: int) -> _File:
    from cellwright.cellmodel.data.registry import label_table
    from cellwright.cellmodel.data.splits import donor_split, random_split
    from cellwright.cellmodel.training.data import read_cells

    keys_of = context.knowledge.genes.keys
    matrix, keys, rows, _written, obs = read_cells(
        path, card, label_table()[card.name], lambda names, species: keys_of(list(names), species)
    )
    parts: Mapping[Any, np.ndarray]
    if card.held_out_donors:
        donors = obs[card.donor_column].astype(str).to_numpy()
        parts = donor_split(donors, card.held_out_donors, seed=seed)
    else:
        parts = random_split(matrix.shape[0], seed=seed)
    log, genes = _own_genes(matrix, keys, card)
    return _File(
        card=card,
        matrix=matrix,
        keys=keys,
        names=np.array([row.name for row in rows], object),
        ids=np.array([row.ontology_id for row in rows], object),
        parts=parts,
        log=log,
        genes=genes,
    )


def _own_genes(
    matrix: Any,
    keys: Sequence[str | None],
    card: DatasetCard,
) -> tuple[Any, tuple[str, ...]]:
    """log1p CP10k on every gene of the file, known to the vocabulary or not."""
    from cellwright.cellmodel.data.block import make_block
    from cellwright.cellmodel.training.data import block_state
    from cellwright.cellmodel.vocabulary import GeneVocabulary

    own = [key or f"unknown:{at}" for at, key in enumerate(keys)]
    vocabulary = GeneVocabulary(tuple(sorted(set(own))))
    block = make_block(matrix, own, vocabulary, **block_state(card))
    return block.expression, vocabulary.keys


def _task(file: _File, split: str, model: CellModel | None) -> EvalTask[LabelledCells, Labelling]:
    # The checkpoint tunes its calibration on the validation cells; baselines have nothing to tune
    # and get training cells alone, as the model's weights do.
    train, test = file.parts["train"], file.parts["test"]
    data = LabelledCells(
        train=file.log[train],
        train_labels=file.names[train],
        test=file.log[test],
        test_labels=file.names[test],
        genes=file.genes,
    )
    names = sorted(set(file.names))
    solvers: dict[str, Callable[[LabelledCells], Labelling] | None] = {
        OURS: partial(_read_out, model=model, file=file, rows=test, candidates=names),
        **BASELINES,
    }
    return EvalTask(
        suite=SUITE,
        data=file.card.name,
        split=split,
        dataset=data,
        solvers=solvers,
        scorer=_score,
    )


def _score(data: LabelledCells, answer: Labelling) -> Mapping[str, Score]:
    return score_labels(data.test_labels, answer)


def _read_out(
    _data: LabelledCells,
    *,
    model: CellModel | None,
    file: _File,
    rows: np.ndarray,
    candidates: Sequence[str],
) -> Labelling:
    """The cell model among the file's labels; ``unknown`` is an answer and counts as wrong."""
    from cellwright.cellmodel.data.block import make_block
    from cellwright.cellmodel.training.data import block_state

    if model is None:
        msg = "there is no checkpoint yet"
        raise Unavailable(msg)
    block = make_block(file.matrix[rows], file.keys, model.vocabulary, **block_state(file.card))
    found = model.annotate(block, candidates=list(candidates))
    return Labelling(labels=found.labels, confidence=found.scores, sets=found.label_sets)


def _study(context: EvalContext, model: CellModel | None, seed: int) -> list[EvalRow]:
    """Other blood studies to ``pbmc68k_reduced``, labels joined at five coarse types."""
    from cellwright.cellmodel.data.registry import dataset

    paths = {name: context.data_dir / f"{name}.h5ad" for name in (*STUDY_TRAIN, STUDY_TEST)}
    if not all(path.is_file() for path in paths.values()):
        return []
    context.say(f"{SUITE}: study split onto {STUDY_TEST}")
    files = {name: _read(path, dataset(name), context, seed) for name, path in paths.items()}
    coarse = {name: _coarse(file, context) for name, file in files.items()}
    test = files[STUDY_TEST]
    shared = sorted(set.intersection(*(set(file.genes) for file in files.values())))
    rng = np.random.default_rng(seed)
    picks = {}
    for name in STUDY_TRAIN:
        known = np.flatnonzero(coarse[name] != "")
        size = min(MAX_STUDY_CELLS, len(known))
        picks[name] = np.sort(rng.choice(known, size, replace=False))
    kept = np.flatnonzero(coarse[STUDY_TEST] != "")
    data = LabelledCells(
        train=_stack([_columns(files[name], shared)[picks[name]] for name in STUDY_TRAIN]),
        train_labels=np.concatenate([coarse[name][picks[name]] for name in STUDY_TRAIN]),
        test=_columns(test, shared)[kept],
        test_labels=coarse[STUDY_TEST][kept],
        genes=tuple(shared),
    )
    names = [name for _id, name in COARSE if name in set(data.test_labels)]
    task = EvalTask[LabelledCells, Labelling](
        suite=SUITE,
        data=STUDY_TEST,
        split="study",
        dataset=data,
        solvers={
            OURS: partial(_read_out_coarse, model=model, file=test, rows=kept, context=context),
            f"{OURS}-named": partial(
                _read_out, model=model, file=test, rows=kept, candidates=names
            ),
            **BASELINES,
        },
        scorer=_score,
    )
    return task.run(context.say)


def _coarse(file: _File, context: EvalContext) -> np.ndarray:
    """The coarse type that each cell's label falls under; empty where none does."""
    ontology = context.knowledge.ontology
    found = {}
    for identifier in set(file.ids):
        found[identifier] = next(
            (
                name
                for coarse, name in COARSE
                if identifier and (identifier == coarse or ontology.is_a(identifier, coarse))
            ),
            "",
        )
    return np.array([found[identifier] for identifier in file.ids], object)


def _read_out_coarse(
    data: LabelledCells,
    *,
    model: CellModel | None,
    file: _File,
    rows: np.ndarray,
    context: EvalContext,
) -> Labelling:
    """The model's own fine types of the tissue, each counted as the coarse type above it."""
    from cellwright.cellmodel.data.block import make_block
    from cellwright.cellmodel.training.data import block_state

    if model is None:
        msg = "there is no checkpoint yet"
        raise Unavailable(msg)
    block = make_block(file.matrix[rows], file.keys, model.vocabulary, **block_state(file.card))
    found = model.annotate(block, species=file.card.species, tissue=file.card.tissue)
    ontology = context.knowledge.ontology
    above = {}
    for identifier in set(found.ontology_ids):
        above[identifier] = next(
            (
                name
                for coarse, name in COARSE
                if identifier and (identifier == coarse or ontology.is_a(identifier, coarse))
            ),
            "other",
        )
    labels = np.array([above[identifier] for identifier in found.ontology_ids], object)
    return Labelling(labels=labels, confidence=found.scores)


def _columns(file: _File, genes: Sequence[str]) -> Any:
    place = {gene: at for at, gene in enumerate(file.genes)}
    return file.log[:, [place[gene] for gene in genes]]


def _stack(blocks: Sequence[Any]) -> Any:
    from scipy import sparse

    return sparse.vstack(blocks).tocsr()
