"""Two ways to name cells: the cell model, cell by cell, and marker records, cluster by cluster."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellwright.cellmodel.labels import tissue_groups
from cellwright.errors import CellwrightError
from cellwright.knowledge.records import Evidence
from cellwright.tools.agreement import UNKNOWN, related_terms
from cellwright.tools.find_markers import rank_genes
from cellwright.tools.model_card import label_space
from cellwright.tools.selection import keys_of

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import Series

    from cellwright.cellmodel.data.block import CellBlock
    from cellwright.knowledge.records import MarkerMatch
    from cellwright.tools.workbench import Workbench

logger = logging.getLogger(__name__)

N_MARKERS = 50
"""Leading genes of a cluster that are held against the records."""

MIN_SUPPORT = 2
"""Genes that must support a call by markers."""

CHOICES_SEARCHED = 400

CLOSE_CALL = 0.53
"""Share of the first two marker scores below which the first is hardly ahead."""


@dataclass(frozen=True, kw_only=True)
class ModelCalls:
    """The cell model's word on every cell.

    Attributes:
        labels: (B,) label, ``unknown`` outside the model's range.
        ids: (B,) Cell Ontology ids, empty where there is none.
        scores: (B,) calibrated probability of the best candidate.
        sets: Labels that stand for each cell: its label set, or, where no label is probable enough
            to be in it, the fewest that hold nine tenths of the probability.
        set_ids: Cell Ontology id of every label that a set may hold, empty where there is none.
        in_range: (B,) whether the model speaks at all.
        why_not: Why the model was not asked; empty when it was.
    """

    labels: np.ndarray
    ids: np.ndarray
    scores: np.ndarray
    sets: list[tuple[str, ...]]
    set_ids: Mapping[str, str]
    in_range: np.ndarray
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class MarkerCall:
    """The marker records' word on a cluster.

    Attributes:
        label: Cell type; ``unknown`` without support.
        ontology_id: Its id, or empty.
        score: Score of the first over that of the first two; 0.5 is undecided.
        genes: Leading genes that support it.
        runner_up: Next cell type; may be empty.
        runner_up_id: Its id, or empty.
        evidence: Records behind it.
    """

    label: str
    ontology_id: str
    score: float
    genes: tuple[str, ...]
    runner_up: str
    runner_up_id: str
    evidence: tuple[Evidence, ...]

    @property
    def is_close(self) -> bool:
        """Whether the first cell type is hardly ahead of the next."""
        return bool(self.runner_up) and 0 < self.score < CLOSE_CALL

    @property
    def label_set(self) -> tuple[str, ...]:
        """The labels that stand: the next one too, where it is close."""
        return (self.label, self.runner_up) if self.is_close else (self.label,)


def block_of(adata: AnnData, bench: Workbench, rows: np.ndarray | None = None) -> CellBlock:
    """Cells as the model reads them."""
    from cellwright.cellmodel.data.block import make_block

    counted = "counts" in adata.layers
    matrix = adata.layers["counts"] if counted else adata.X
    if rows is not None:
        matrix = matrix[rows]
    # Intake has brought logarithms to base e, so the block must not guess the base again.
    return make_block(
        matrix,
        keys_of(adata),
        bench.cell_model.vocabulary,
        "counts" if counted else "log1p",
        log_base="e",
    )


def ask_model(
    adata: AnnData, bench: Workbench, choices: Sequence[str] | None, tissue: str | None
) -> ModelCalls:
    """Label every cell by the cell model, or say why it was not asked."""
    reason = _not_for_model(bench, choices, tissue)
    if not reason:
        try:
            model = bench.cell_model
        except CellwrightError as error:
            reason = f"the cell model cannot be loaded ({error})"
    if reason:
        return _silent(adata.n_obs, reason)
    passport = bench.passport
    found = model.annotate(
        block_of(adata, bench),
        candidates=list(choices) if choices else None,
        species=passport.species.value if passport else None,
        tissue=tissue,
        progress=bench.progress,
    )
    labels = np.array([str(one) for one in found.labels], dtype=object)
    set_ids = _ids_of(found.candidates, bench)
    return ModelCalls(
        labels=labels,
        ids=np.array([set_ids.get(one, "") for one in labels], dtype=object),
        scores=np.asarray(found.scores, dtype=np.float32),
        sets=[
            tuple(map(str, own or wide)) if inside else ()
            for own, wide, inside in zip(
                found.label_sets, found.plausible, found.in_range, strict=True
            )
        ],
        set_ids=set_ids,
        in_range=np.asarray(found.in_range, dtype=bool),
    )


def _not_for_model(bench: Workbench, choices: Sequence[str] | None, tissue: str | None) -> str:
    """Why the model has nothing to say of these cells; empty when it may."""
    space = label_space(bench.settings)
    if space is None:
        return "there is no trained cell model"
    passport = bench.passport
    if passport is not None and not any(
        passport.species.value in record.species for record in space.records
    ):
        return f"the cell model was trained on no {passport.species.value} cells"
    groups = tissue_groups(tissue) if tissue else frozenset()
    if tissue and not choices:
        trained = tissue_groups(*(one for record in space.records for one in record.tissues))
        if not groups & trained:
            return f"the cell model was trained on no cells of {tissue}"
    return ""


def _silent(n_cells: int, reason: str) -> ModelCalls:
    return ModelCalls(
        labels=np.full(n_cells, UNKNOWN, dtype=object),
        ids=np.full(n_cells, "", dtype=object),
        scores=np.zeros(n_cells, dtype=np.float32),
        sets=[()] * n_cells,
        set_ids={},
        in_range=np.zeros(n_cells, dtype=bool),
        why_not=reason,
    )


def _ids_of(names: Iterable[str], bench: Workbench) -> dict[str, str]:
    """Cell Ontology ids by the model's own table, else as the ontology reads the name."""
    space, found = label_space(bench.settings), {}
    for name in map(str, names):
        at = space.find(name) if space is not None else None
        own = space.records[at].ontology_id if space is not None and at is not None else ""
        known = at is not None
        found[name] = own if known else bench.knowledge.ontology.lookup(name).ontology_id or ""
    return found


def ask_markers(
    adata: AnnData,
    clusters: Series,
    bench: Workbench,
    choices: Sequence[str] | None,
    tissue: str | None,
) -> dict[str, MarkerCall]:
    """Name every cluster by its leading genes and the marker records."""
    sizes = clusters.value_counts()
    names = [str(name) for name in clusters.cat.categories]
    tested = [name for name in names if 3 <= sizes[name] < int(sizes.sum())]
    # Genes that no cell expresses have no score, which is no cause for a warning.
    with np.errstate(divide="ignore", invalid="ignore"):
        ranked = rank_genes(adata, clusters, tested) if tested else {}
    species = bench.passport.species.value if bench.passport else "human"
    wanted = None
    if choices:
        wanted = {one: bench.knowledge.ontology.lookup(one).ontology_id or "" for one in choices}
    calls = {}
    for name in names:
        genes: list[str] = []
        if name in ranked:
            table = ranked[name]
            raised = table[(table["score"] > 0) & (table["log2_fold_change"] > 0.25)]
            genes = [str(gene) for gene in raised["gene"].head(N_MARKERS)]
        matches = (
            bench.knowledge.markers.match(
                genes, species=species, tissue=tissue, top=CHOICES_SEARCHED if wanted else 3
            )
            if genes
            else []
        )
        calls[name] = _choose(matches, wanted, bench)
    return calls


def _choose(
    matches: Sequence[MarkerMatch], wanted: dict[str, str] | None, bench: Workbench
) -> MarkerCall:
    if wanted is not None:
        knowledge = bench.knowledge
        matches = [
            one
            for one in matches
            if related_terms(list(wanted.values()), one.ontology_id, knowledge)
        ]
    good = [one for one in matches if len(one.genes) >= MIN_SUPPORT]
    if not good:
        return MarkerCall(
            label=UNKNOWN,
            ontology_id="",
            score=0.0,
            genes=(),
            runner_up="",
            runner_up_id="",
            evidence=(),
        )
    best = good[0]
    second = good[1] if len(good) > 1 else None
    label, term = _model_name(best, bench), best.ontology_id
    if wanted is not None:
        label, term = next(
            (name, id_)
            for name, id_ in wanted.items()
            if related_terms([id_], best.ontology_id, bench.knowledge)
        )
    total = best.score + (second.score if second else 0.0)
    return MarkerCall(
        label=label,
        ontology_id=term,
        score=float(best.score / total) if total > 0 else 0.5,
        genes=tuple(best.genes[:8]),
        runner_up=_model_name(second, bench) if second else "",
        runner_up_id=second.ontology_id if second else "",
        evidence=tuple(best.evidence[:3]),
    )


def _model_name(match: MarkerMatch, bench: Workbench) -> str:
    """The model's name for a term, so that one type has one name; the record's where it has none.

    Where several of the model's types share the term they are narrower than it.
    """
    space = label_space(bench.settings)
    own = (
        [one.name for one in space.records if one.ontology_id == match.ontology_id] if space else []
    )
    return own[0] if len(own) == 1 and match.ontology_id else match.cell_type
