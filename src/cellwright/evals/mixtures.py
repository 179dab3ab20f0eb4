"""Many types of many studies in one set: files pooled by label, genes joined by vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from cellwright.evals.baselines import LabelledCells
from cellwright.evals.cells import CellFile, read_file

if TYPE_CHECKING:
    from cellwright.cellmodel.data.block import CellBlock
    from cellwright.cellmodel.data.splits import Part
    from cellwright.cellmodel.vocabulary import GeneVocabulary
    from cellwright.evals.task import EvalContext

FEWEST_CELLS = 20
"""A type of fewer labelled cells in all its files is left out."""
LEAST_SHARE = 0.01
FEWEST_EXPRESSING = 5
"""A gene is kept if this share of the training cells of one file, and 5 cells, express it."""


@dataclass(frozen=True, kw_only=True)
class MixturePart:
    """The training or test cells.

    Attributes:
        expression: ``(B, V)`` csr, log1p CP10k over all genes of the cell's file.
        labels: ``(B,)`` object, names of types.
        files: ``(B,)`` position of each cell's file.
        rows: ``(B,)`` row in that file.
    """

    expression: sparse.csr_matrix
    labels: np.ndarray
    files: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Cells of several studies under one vocabulary.

    Attributes:
        name: What it is called.
        seed: Seed of the files' splits and of the draw.
        files: The studies.
        vocabulary: Genes, joined.
        labels: Names of the types, sorted.
        train: Training cells, from the files' training parts.
        test: Test cells, from the files' test parts.
    """

    name: str
    seed: int
    files: tuple[CellFile, ...]
    vocabulary: GeneVocabulary
    labels: tuple[str, ...]
    train: MixturePart
    test: MixturePart

    @property
    def split(self) -> str:
        """``random``, or ``random and donor`` where a file holds donors out."""
        kinds = sorted({file.split for file in self.files}, reverse=True)
        return " and ".join(kinds)

    def places(self, part: MixturePart) -> np.ndarray:
        """``(B,)`` position of each cell's type."""
        where = {label: at for at, label in enumerate(self.labels)}
        return np.array([where[label] for label in part.labels])

    def labelled(self) -> LabelledCells:
        """The split as baselines take it."""
        return LabelledCells(
            train=self.train.expression,
            train_labels=self.train.labels,
            test=self.test.expression,
            test_labels=self.test.labels,
            genes=self.vocabulary.keys,
        )

    def blocks(
        self, part: MixturePart, vocabulary: GeneVocabulary
    ) -> list[tuple[np.ndarray, CellBlock]]:
        """A block for each file, on a model's own vocabulary, with the cells it holds."""
        found = []
        for at, file in enumerate(self.files):
            where = np.flatnonzero(part.files == at)
            if len(where):
                found.append((where, file.block(vocabulary, part.rows[where])))
        return found


def build_mixture(
    context: EvalContext,
    name: str,
    files: Sequence[str],
    *,
    seed: int,
    per_class: int = 0,
    test_per_class: int = 0,
) -> Mixture | None:
    """Pool files; None where none of them is there.

    Args:
        context: Folder of the files, and the knowledge that names genes.
        name: What to call it.
        files: Names of data sets in the registry.
        seed: Seed of the files' splits, as in training, and of the draw.
        per_class: Most training cells of a type, drawn over all its files; 0 takes all.
        test_per_class: Most test cells of a type; 0 takes all.
    """
    from cellwright.cellmodel.vocabulary import GeneVocabulary

    read = [read_file(file, context, seed=seed) for file in files]
    there = tuple(file for file in read if file is not None)
    if not there:
        return None
    counts = Counter(label for file in there for label in file.names)
    common = {label for label, n in counts.items() if n >= FEWEST_CELLS}
    chosen: dict[Part, tuple[np.ndarray, np.ndarray]] = {
        "train": _draw(there, "train", common, per_class, seed),
        "test": _draw(there, "test", common, test_per_class, seed),
    }
    vocabulary = GeneVocabulary(tuple(sorted({key for one in there for key in _expressed(one)})))
    parts = {part: _part(there, vocabulary, *where) for part, where in chosen.items()}
    return Mixture(
        name=name,
        seed=seed,
        files=there,
        vocabulary=vocabulary,
        labels=tuple(sorted(set(parts["train"].labels), key=str.casefold)),
        train=parts["train"],
        test=_known(parts["test"], set(parts["train"].labels)),
    )


def _draw(
    files: Sequence[CellFile], part: Part, labels: set[str], most: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """File and row of the cells of a part, at most so many of a label, in order."""
    at = np.concatenate([np.full(len(file.parts[part]), n) for n, file in enumerate(files)])
    rows = np.concatenate([file.parts[part] for file in files])
    names = np.concatenate([file.names[file.parts[part]] for file in files])
    rng = np.random.default_rng([seed, part == "test"])
    kept = []
    for label in sorted(labels):
        own = np.flatnonzero(names == label)
        kept.append(own if not most or len(own) <= most else rng.choice(own, most, replace=False))
    where = np.sort(np.concatenate([*kept, np.zeros(0, int)]).astype(int))
    return at[where], rows[where]


def _expressed(file: CellFile) -> list[str]:
    """Known genes that enough training cells express."""
    train = file.log[file.parts["train"]]
    seen = np.diff(train.tocsc().indptr)
    needed = max(FEWEST_EXPRESSING, LEAST_SHARE * train.shape[0])
    known = {key for key in file.keys if key is not None}
    return [key for key, n in zip(file.genes, seen, strict=True) if n >= needed and key in known]


def _part(
    files: Sequence[CellFile], vocabulary: GeneVocabulary, at: np.ndarray, rows: np.ndarray
) -> MixturePart:
    pieces, labels = [], []
    for number, file in enumerate(files):
        own = rows[at == number]
        pieces.append(_aligned(file.log[own], file.genes, vocabulary))
        labels.append(file.names[own])
    return MixturePart(
        expression=sparse.csr_matrix(sparse.vstack(pieces)),
        labels=np.concatenate(labels),
        files=at,
        rows=rows,
    )


def _aligned(
    log: sparse.csr_matrix, genes: Sequence[str], vocabulary: GeneVocabulary
) -> sparse.csr_matrix:
    """The same values in the columns of the vocabulary; other genes are dropped."""
    positions = vocabulary.positions(genes)
    known = np.flatnonzero(positions >= 0)
    mapping = sparse.csr_matrix(
        (np.ones(len(known), np.float32), (known, positions[known])),
        shape=(len(positions), len(vocabulary)),
    )
    return sparse.csr_matrix(log @ mapping)


def _known(part: MixturePart, labels: set[str]) -> MixturePart:
    """Test cells of types that training has."""
    where = np.flatnonzero([label in labels for label in part.labels])
    return MixturePart(
        expression=part.expression[where],
        labels=part.labels[where],
        files=part.files[where],
        rows=part.rows[where],
    )
