"""The joint training corpus, and the draws that the encoder learns from."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from cellwright.cellmodel.data.block import CELL_TOTAL, CellBlock, State, count_matrix, make_block
from cellwright.cellmodel.data.registry import DatasetCard, LabelRow
from cellwright.cellmodel.data.splits import Part, donor_split, near_duplicates, random_split
from cellwright.cellmodel.labels import LabelRecord, LabelSpace
from cellwright.cellmodel.vocabulary import GeneVocabulary
from cellwright.errors import InputError

logger = logging.getLogger(__name__)

KeysOf = Callable[[Sequence[str], str], Sequence[str | None]]
IsA = Callable[[str, str], bool]
"""Whether an ontology term is below another."""
LabelTable = Mapping[str, Mapping[str, LabelRow]]
VARIABLE_GENES = 2000
FEWEST_GENES_LEFT = 15
FEWEST_GENES_SHARED = 200
"""Genes that a file must share with another to be seen through the other's panel."""
FEWEST_GENES_OF_PANEL = 50
"""Genes of a named panel that a file must have to be seen through it."""
PANEL_SHARE = 0.5
"""Share of the cells seen through a named panel."""
SMALL_PANEL = 600
"""A file of fewer genes has each of them hidden a quarter as often: it has none to spare."""
FEWEST_CELLS = 5
LEAST_SHARE = 0.02
"""A gene counts as seen in a file if this share of its training cells, and 5 cells, express it."""


@dataclass(frozen=True, kw_only=True)
class CellSet:
    """One file, aligned.

    Attributes:
        card: What was declared of it.
        block: Its labelled cells.
        labels: ``(B,)`` position of each cell's type in the corpus's label space.
        parts: Cells of each part of the split.
        counts: ``(B, V)`` raw counts; None where X does not hold counts.
        duplicates: Training cells dropped because they are held out too.
    """

    card: DatasetCard
    block: CellBlock
    labels: np.ndarray
    parts: Mapping[Part, np.ndarray]
    counts: sparse.csr_matrix | None
    duplicates: int = 0

    def cells_of(self, parts: Sequence[Part]) -> np.ndarray:
        """Cells of some parts."""
        return np.concatenate([self.parts[part] for part in parts])

    @property
    def own(self) -> np.ndarray:
        """Positions of the types that the file has, sorted."""
        return np.unique(self.labels)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """All files under one vocabulary and one label space."""

    vocabulary: GeneVocabulary
    labels: LabelSpace
    sets: tuple[CellSet, ...]
    panel: np.ndarray | None = None
    """``(V,)`` bool, the genes that cells to come are measured on, where these are known."""

    @property
    def _levelled(self) -> list[CellSet]:
        """Files whose X has expression levels; z-scores have none."""
        return [cells for cells in self.sets if cells.card.state != "scaled"]

    def usual_levels(self) -> np.ndarray:
        """Mean log1p level of each gene in the training cells that express it, ``(V,)``."""
        total = np.zeros(len(self.vocabulary))
        seen = np.zeros(len(self.vocabulary))
        for cells in self._levelled:
            train = cells.block.expression[cells.parts["train"]]
            total += np.asarray(train.sum(axis=0)).ravel()
            seen += np.diff(train.tocsc().indptr)
        overall = total.sum() / max(seen.sum(), 1)
        return np.asarray((total + 5 * overall) / (seen + 5), dtype=np.float32)

    def mean_profile(self) -> np.ndarray:
        """Mean log1p profile, each file counting alike where it measured a gene, ``(V,)``."""
        total = np.zeros(len(self.vocabulary))
        files = np.zeros(len(self.vocabulary))
        for cells in self._levelled:
            train = cells.block.expression[cells.parts["train"]]
            total += np.asarray(train.mean(axis=0)).ravel()
            files += cells.block.measured
        return np.asarray(total / np.maximum(files, 1), dtype=np.float32)


@dataclass(frozen=True)
class _RawSet:
    card: DatasetCard
    matrix: sparse.csr_matrix
    keys: Sequence[str | None]
    rows: list[LabelRow]
    aliases: list[str]
    parts: Mapping[Part, np.ndarray]


def build_corpus(
    folder: Path,
    cards: Sequence[DatasetCard],
    table: LabelTable,
    keys_of: KeysOf,
    *,
    is_a: IsA,
    seed: int,
    vocabulary: GeneVocabulary | None = None,
    panel: Sequence[str] = (),
) -> Corpus:
    """Read files and put them under one vocabulary and one label space.

    Args:
        folder: Folder of ``NAME.h5ad`` files.
        cards: The files to read; one that is not there is left out with a warning.
        table: What their labels mean; cells with another label are left out.
        keys_of: Vocabulary keys of gene names of a species.
        is_a: Which labels include which, by their ontology ids.
        seed: Seed of the splits.
        vocabulary: Genes of a run that goes on; None makes it of the genes that the files express.
        panel: Vocabulary keys of the genes that cells to come are measured on; empty for any.

    Raises:
        InputError: None of the files is there.
    """
    raw = []
    for card in cards:
        path = card.file(folder)
        if path.is_file():
            raw.append(_read(path, card, table[card.name], keys_of, seed=seed))
        else:
            logger.warning("%s is not in %s: left out", path.name, path.parent)
    if not raw:
        msg = f"None of the {len(cards)} data files is in {folder}; name the folder with --data."
        raise InputError(msg)
    if vocabulary is None:
        variable = {key for one in raw for key in _variable_keys(one)}
        vocabulary = GeneVocabulary.of([_expressed_keys(one) for one in raw], variable)
    labels = _label_space(raw, is_a)
    return Corpus(
        vocabulary=vocabulary,
        labels=labels,
        sets=tuple(_align(one, vocabulary, labels) for one in raw),
        panel=np.isin(np.array(vocabulary.keys), list(panel)) if panel else None,
    )


NO_LABEL = LabelRow(name="", ontology_id="")


def read_cells(
    path: Path, card: DatasetCard, rows: Mapping[str, LabelRow] | None, keys_of: KeysOf
) -> tuple[sparse.csr_matrix, Sequence[str | None], list[LabelRow], list[str], Any]:
    """Cells of a file: matrix, gene keys, label rows, labels as written, obs.

    Only cells with a label that ``rows`` has; without ``rows`` every cell, without labels.
    """
    import anndata

    adata = anndata.read_h5ad(path)
    labels = [""] * adata.n_obs
    found = [NO_LABEL] * adata.n_obs
    if rows is not None:
        written = adata.obs[card.label_column].astype(str)
        kept = written.isin(set(rows)).to_numpy()
        adata = adata[kept]
        labels = [str(label) for label in written[kept]]
        found = [rows[label] for label in labels]
    keys = keys_of([str(name) for name in adata.var_names], card.species)
    return sparse.csr_matrix(adata.X), keys, found, labels, adata.obs


def _read(
    path: Path, card: DatasetCard, table: Mapping[str, LabelRow], keys_of: KeysOf, *, seed: int
) -> _RawSet:
    matrix, keys, rows, aliases, obs = read_cells(path, card, table, keys_of)
    return _RawSet(card, matrix, keys, rows, aliases, split_cells(card, obs, seed=seed))


def split_cells(card: DatasetCard, obs: Any, *, seed: int) -> dict[Part, np.ndarray]:
    """Cells of each part, by whole donors or at random as the card says."""
    if card.split == "donor":
        return donor_split(obs[card.donor_column].astype(str).to_numpy(), seed=seed)
    return random_split(len(obs), seed=seed)


def block_state(card: DatasetCard) -> dict[str, Any]:
    """``make_block``'s arguments for the state of a file's X."""
    states: Mapping[str, State] = {"counts": "counts", "scaled": "scaled"}
    return {
        "state": states.get(card.state, "log1p"),
        "log_base": {"log2": "2", "ln": "e"}.get(card.state, "auto"),
    }


def _expressed_keys(raw: _RawSet) -> set[str]:
    cells = np.diff(raw.matrix[raw.parts["train"]].tocsc().indptr)
    needed = max(FEWEST_CELLS, LEAST_SHARE * len(raw.parts["train"]))
    return {key for key, n in zip(raw.keys, cells, strict=True) if key is not None and n >= needed}


def _variable_keys(raw: _RawSet) -> list[str]:
    own = GeneVocabulary(tuple(sorted({key for key in raw.keys if key is not None})))
    block = make_block(raw.matrix[raw.parts["train"]], raw.keys, own, **block_state(raw.card))
    expression = block.expression
    mean = np.asarray(expression.mean(axis=0)).ravel()
    variance = np.asarray(expression.multiply(expression).mean(axis=0)).ravel() - mean**2
    order = np.argsort(-variance)[:VARIABLE_GENES]
    return [own.keys[at] for at in order if variance[at] > 0]


def _label_space(raw: Sequence[_RawSet], is_a: IsA) -> LabelSpace:
    found: dict[str, dict[str, Any]] = {}
    for one in raw:
        train = set(one.parts["train"].tolist())
        for at, (row, alias) in enumerate(zip(one.rows, one.aliases, strict=True)):
            entry = found.setdefault(
                row.name,
                {"id": row.ontology_id, "task": one.card.task, "n": 0}
                | {key: {} for key in ("species", "tissues", "aliases", "datasets")},
            )
            entry["n"] += at in train
            for key, value in (
                ("species", one.card.species),
                ("tissues", one.card.tissue),
                ("aliases", alias),
                ("datasets", one.card.name),
            ):
                entry[key][value] = None
    ids = {name: entry["id"] for name, entry in found.items() if entry["id"]}

    def broader(name: str) -> tuple[str, ...]:
        own = ids.get(name)
        if own is None:
            return ()
        return tuple(sorted(n for n, other in ids.items() if other != own and is_a(own, other)))

    return LabelSpace(
        tuple(
            LabelRecord(
                name=name,
                ontology_id=entry["id"],
                broader=broader(name),
                n_cells=entry["n"],
                task=entry["task"],
                **{key: tuple(entry[key]) for key in ("species", "tissues", "aliases", "datasets")},
            )
            for name, entry in sorted(found.items(), key=lambda item: item[0].casefold())
        )
    )


def _align(raw: _RawSet, vocabulary: GeneVocabulary, labels: LabelSpace) -> CellSet:
    position = {name: at for at, name in enumerate(labels.names)}
    counts = None
    if raw.card.has_counts:
        counts = count_matrix(raw.matrix, raw.keys, vocabulary)
    block = make_block(raw.matrix, raw.keys, vocabulary, **block_state(raw.card))
    twins = near_duplicates(block.expression, raw.parts)
    if len(twins):
        logger.info("%s: %d training cells are also held out: dropped", raw.card.name, len(twins))
    return CellSet(
        card=raw.card,
        block=block,
        labels=np.array([position[row.name] for row in raw.rows]),
        parts={**raw.parts, "train": np.setdiff1d(raw.parts["train"], twins)},
        counts=counts,
        duplicates=len(twins),
    )


class Panels:
    """Gene panels of the files of a corpus, through which cells of other files can be seen.

    Where the corpus has a panel of cells to come, half of the cells are seen through that one, as
    far as their own file measured enough of it.

    Args:
        corpus: The files.
    """

    def __init__(self, corpus: Corpus) -> None:
        sets = corpus.sets
        self.measured = np.stack([cells.block.measured for cells in sets])
        self.panel = corpus.panel
        own = self.measured.astype(np.float32)
        shared = own @ own.T
        scaled = np.array([cells.card.state == "scaled" for cells in sets])
        usable = (shared >= FEWEST_GENES_SHARED) & ~scaled[:, None] & ~scaled[None]
        self._partners = [np.flatnonzero(row) for row in usable]
        small = self.measured.sum(axis=1) < SMALL_PANEL
        self._spare = np.where(small | scaled, 0.25, 1.0)
        shown = np.zeros(len(sets)) if self.panel is None else own @ self.panel
        self._shows_panel = (shown >= FEWEST_GENES_OF_PANEL) & ~scaled

    def draw(self, sets: np.ndarray, rng: np.random.Generator, *, rate: float) -> np.ndarray:
        """Genes that each cell may keep, ``(B, V)`` bool: a share ``rate`` see another's panel."""
        kept = np.ones((len(sets), self.measured.shape[1]), dtype=bool)
        for at in np.flatnonzero(rng.random(len(sets)) < rate):
            partners = self._partners[sets[at]]
            if len(partners):
                kept[at] = self.measured[rng.choice(partners)]
        if self.panel is not None:
            kept[self._shows_panel[sets] & (rng.random(len(sets)) < PANEL_SHARE)] = self.panel
        return kept

    def drop(self, sets: np.ndarray, most: float) -> np.ndarray:
        """Largest share of genes to hide at random in each cell, ``(B,)``."""
        return most * self._spare[sets]


def hide_genes(
    expression: sparse.csr_matrix,
    panels: np.ndarray,
    rng: np.random.Generator,
    *,
    drop: float | np.ndarray,
) -> sparse.csr_matrix:
    """Cells as another platform might have seen them: some genes hidden, then normalised anew.

    Args:
        expression: ``(B, V)`` csr, log1p counts per 10,000.
        panels: ``(B, V)`` bool, genes that the cell may keep.
        rng: Source of the draws.
        drop: Largest share of genes hidden at random, one for all cells or ``(B,)``; the share of
            each cell is uniform below it.
    """
    rows = np.repeat(np.arange(expression.shape[0]), np.diff(expression.indptr))
    rate = rng.uniform(0, 1, size=expression.shape[0]) * drop
    keep = panels[rows, expression.indices] & (rng.random(len(rows)) >= rate[rows])
    left = np.bincount(rows[keep], minlength=expression.shape[0])
    keep |= (left < FEWEST_GENES_LEFT)[rows]
    linear = np.expm1(expression.data) * keep
    totals = np.bincount(rows, weights=linear, minlength=expression.shape[0])
    scaled = np.log1p(linear * (CELL_TOTAL / np.maximum(totals, 1e-9))[rows])
    out = sparse.csr_matrix(
        (scaled.astype(np.float32), expression.indices, expression.indptr), shape=expression.shape
    )
    out = out.copy()
    out.eliminate_zeros()
    return out


@dataclass(frozen=True)
class Draw:
    """Training cells of one step.

    Attributes:
        expression: ``(B, V)`` csr, genes hidden.
        labels: ``(B,)`` true types.
        sets: ``(B,)`` file of each cell, as its position in the corpus.
        allowed: ``(B, L)`` bool, candidates of each cell.
    """

    expression: sparse.csr_matrix
    labels: np.ndarray
    sets: np.ndarray
    allowed: np.ndarray


class CellSampler:
    """Draws cells: files and types in proportion to the root of their size.

    Half of the cells choose among their own file's types, the others among all types but those
    that the Cell Ontology relates to the true one.
    """

    def __init__(
        self, corpus: Corpus, *, panel_rate: float, drop: float, parts: Sequence[Part] = ("train",)
    ) -> None:
        chosen = [(at, cells, cells.cells_of(parts)) for at, cells in enumerate(corpus.sets)]
        self.expression = sparse.vstack([c.block.expression[p] for _, c, p in chosen]).tocsr()
        self.labels = np.concatenate([c.labels[p] for _, c, p in chosen])
        self.sets = np.concatenate([np.full(len(p), at) for at, _, p in chosen])
        self.panels = Panels(corpus)
        self.panel_rate, self.drop = panel_rate, drop
        size = len(corpus.labels)
        self._own = np.zeros((len(corpus.sets), size), dtype=bool)
        for at, cells in enumerate(corpus.sets):
            self._own[at, cells.own] = True
        self._related = corpus.labels.related
        group = self.sets * size + self.labels
        counts = np.bincount(group, minlength=len(corpus.sets) * size)
        per_set = np.sqrt(np.bincount(self.sets, minlength=len(corpus.sets)))
        per_class = np.sqrt(counts).reshape(len(corpus.sets), size)
        per_class /= np.maximum(per_class.sum(axis=1, keepdims=True), 1e-9)
        share = (per_set / per_set.sum())[:, None] * per_class
        weights = share.ravel()[group] / counts[group]
        self._cumulative = np.cumsum(weights / weights.sum())

    def allowed(self, labels: np.ndarray, sets: np.ndarray, *, own: np.ndarray) -> np.ndarray:
        """Candidates of each cell: its file's types where ``own``, else all that do not overlap."""
        wide = ~self._related[labels] | self._own[sets]
        wide[np.arange(len(labels)), labels] = True
        return np.where(own[:, None], self._own[sets], wide)

    def draw(self, rng: np.random.Generator, size: int) -> Draw:
        """Draw cells with replacement."""
        last = len(self._cumulative) - 1
        rows = np.minimum(np.searchsorted(self._cumulative, rng.random(size)), last)
        labels, sets = self.labels[rows], self.sets[rows]
        panels = self.panels.draw(sets, rng, rate=self.panel_rate)
        drop = self.panels.drop(sets, self.drop)
        expression = hide_genes(self.expression[rows], panels, rng, drop=drop)
        allowed = self.allowed(labels, sets, own=rng.random(size) < 0.5)
        return Draw(expression, labels, sets, allowed)
