"""Files of labelled cells as suites read them: every labelled cell, on the file's own genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.baselines import LabelledCells

if TYPE_CHECKING:
    from cellwright.cellmodel.data.block import CellBlock
    from cellwright.cellmodel.data.registry import DatasetCard
    from cellwright.cellmodel.data.splits import Part
    from cellwright.cellmodel.vocabulary import GeneVocabulary
    from cellwright.evals.task import EvalContext
    from cellwright.knowledge.ontology import CellOntology


@dataclass(frozen=True, kw_only=True)
class CellFile:
    """A file read.

    Attributes:
        card: What is declared of it.
        matrix: (B, G) csr, X as the file has it.
        keys: Vocabulary key of each of the G genes; None where unknown.
        names: (B,) object, the model's name of each cell's label.
        ids: (B,) object, Cell Ontology id of each label; empty where none fits.
        parts: Cells of each part of the split.
        log: (B, H) csr, log1p CP10k on the file's own genes.
        genes: (H,) keys of those genes.
        obs: The annotations of the cells.
    """

    card: DatasetCard
    matrix: Any
    keys: Sequence[str | None]
    names: np.ndarray
    ids: np.ndarray
    parts: Mapping[Part, np.ndarray]
    log: Any
    genes: tuple[str, ...]
    obs: Any

    @property
    def split(self) -> str:
        """How test cells were set apart: ``donor`` or ``random``."""
        return self.card.split

    @property
    def labels(self) -> list[str]:
        """Names of the file's types, sorted."""
        return sorted(set(self.names))

    def block(self, vocabulary: GeneVocabulary, rows: np.ndarray) -> CellBlock:
        """Cells as a model reads them."""
        from cellwright.cellmodel.data.block import make_block
        from cellwright.cellmodel.training.data import block_state

        return make_block(self.matrix[rows], self.keys, vocabulary, **block_state(self.card))

    def labelled(self) -> LabelledCells:
        """The split as baselines take it: the cells that tune a model train them too."""
        first = np.sort(np.concatenate([self.parts["train"], self.parts["valid"]]))
        second = self.parts["test"]
        return LabelledCells(
            train=self.log[first],
            train_labels=self.names[first],
            test=self.log[second],
            test_labels=self.names[second],
            genes=self.genes,
        )


def read_file(
    name: str, context: EvalContext, *, seed: int, labelled: bool = True
) -> CellFile | None:
    """Read a declared file with the split of a seed; None, and a word on it, where it is missing.

    Args:
        name: Name of the data set in the registry.
        context: Folder of the files, and the knowledge that names genes.
        seed: Seed of the split, the same as in training.
        labelled: Whether only cells with a label are read; without, no cell has one.
    """
    from cellwright.cellmodel.data.registry import dataset, label_table
    from cellwright.cellmodel.data.wheels import with_file
    from cellwright.cellmodel.training.data import read_cells, split_cells

    settings = context.settings
    card = with_file(dataset(name), settings.data_dir, offline=settings.offline)
    path = card.file(context.data_dir)
    if not path.is_file():
        context.say(f"{name}: {path} is missing, left out")
        return None
    table = label_table()[name] if labelled else None
    matrix, keys, rows, _written, obs = read_cells(path, card, table, context.knowledge.genes.keys)
    log, genes = _own_genes(matrix, keys, card)
    return CellFile(
        card=card,
        matrix=matrix,
        keys=keys,
        names=np.array([row.name for row in rows], object),
        ids=np.array([row.ontology_id for row in rows], object),
        parts=split_cells(card, obs, seed=seed),
        log=log,
        genes=genes,
        obs=obs,
    )


def _own_genes(
    matrix: Any, keys: Sequence[str | None], card: DatasetCard
) -> tuple[Any, tuple[str, ...]]:
    """log1p CP10k on every gene of the file, known to the vocabulary or not."""
    from cellwright.cellmodel.data.block import make_block
    from cellwright.cellmodel.training.data import block_state
    from cellwright.cellmodel.vocabulary import GeneVocabulary

    own = [key or f"unknown:{at}" for at, key in enumerate(keys)]
    vocabulary = GeneVocabulary(tuple(sorted(set(own))))
    block = make_block(matrix, own, vocabulary, **block_state(card))
    return block.expression, vocabulary.keys


def coarse_types(ids: np.ndarray, coarse: Mapping[str, str], ontology: CellOntology) -> np.ndarray:
    """Name of the coarse type above each Cell Ontology id, ``(B,)`` object; empty where none is."""
    found = {
        identifier: next(
            (
                name
                for above, name in coarse.items()
                if identifier and (identifier == above or ontology.is_a(identifier, above))
            ),
            "",
        )
        for identifier in set(ids)
    }
    return np.array([found[identifier] for identifier in ids], object)


def pool_files(
    train: Sequence[CellFile],
    train_labels: Sequence[np.ndarray],
    test: CellFile,
    test_labels: np.ndarray,
    *,
    most: int,
    seed: int,
) -> tuple[LabelledCells, np.ndarray]:
    """Cells of some studies to train on, of another to test on, on the genes that all share.

    Args:
        train: Studies to train on.
        train_labels: Label of each of their cells; empty leaves a cell out.
        test: Study to test on.
        test_labels: Label of each of its cells; empty leaves a cell out.
        most: Most cells taken of a training study.
        seed: Seed of that draw.

    Returns:
        The cells, and the positions of the test cells in their file.
    """
    from scipy import sparse

    rng = np.random.default_rng(seed)
    shared = sorted(set.intersection(*(set(file.genes) for file in (*train, test))))
    picks = []
    for labels in train_labels:
        known = np.flatnonzero(labels != "")
        picks.append(np.sort(rng.choice(known, min(most, len(known)), replace=False)))
    kept = np.flatnonzero(test_labels != "")
    blocks = [_columns(file, shared)[rows] for file, rows in zip(train, picks, strict=True)]
    return LabelledCells(
        train=sparse.vstack(blocks).tocsr(),
        train_labels=np.concatenate(
            [labels[rows] for labels, rows in zip(train_labels, picks, strict=True)]
        ),
        test=_columns(test, shared)[kept],
        test_labels=test_labels[kept],
        genes=tuple(shared),
    ), kept


def _columns(file: CellFile, genes: Sequence[str]) -> Any:
    place = {gene: at for at, gene in enumerate(file.genes)}
    return file.log[:, [place[gene] for gene in genes]]
