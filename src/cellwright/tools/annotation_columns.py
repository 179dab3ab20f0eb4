"""What ``annotate_cells`` says of each cell, and the columns of obs that hold it.

=============================================== ===================================================
``cellwright_cell_type``                        label
``cellwright_cell_type_ontology_term_id``       its Cell Ontology id
``cellwright_score``                            probability of the label (model), share of the
                                                cluster (clusters), or first score over the first
                                                two (marker records)
``cellwright_label_set``                        labels that stand, joined by `` | ``
``cellwright_cell_type_category``               the one term that holds them all, which is the
                                                label where it stands alone; ``unknown`` where no
                                                informative term does
``cellwright_cell_type_category_ontology_term_id``  its Cell Ontology id
``cellwright_source``                           who named the cell
=============================================== ===================================================

``category`` is the word of the CAP annotation schema for the broader type that an annotation falls
under (its columns ``--category_fullname`` and ``--category_cell_ontology_term_id``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellwright.tools.agreement import UNKNOWN
from cellwright.tools.backoff import Category, back_off_all
from cellwright.tools.calls import MarkerCall, ModelCalls

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import Series

    from cellwright.knowledge.ontology import CellOntology

LABEL = "cellwright_cell_type"
TERM = "cellwright_cell_type_ontology_term_id"
SCORE = "cellwright_score"
LABEL_SET = "cellwright_label_set"
CATEGORY = "cellwright_cell_type_category"
CATEGORY_TERM = "cellwright_cell_type_category_ontology_term_id"
SOURCE = "cellwright_source"
SEPARATOR = " | "

BY_MODEL, BY_MARKERS, BY_NONE = "cell model", "markers", "none"
COVERED = 0.5
"""Share of a cluster's cells within the model's range from which the model names the cluster."""

MOST = 0.9
"""Share of a cluster's named cells whose labels make the cluster's label set."""


@dataclass(frozen=True, kw_only=True)
class CellCalls:
    """What is said of each cell.

    Attributes:
        labels: (B,) object.
        terms: (B,) object, Cell Ontology ids, empty where there is none.
        scores: (B,) float32.
        sets: Labels that stand for each cell.
        categories: The term that holds each set.
        sources: (B,) object: ``cell model``, ``markers`` or ``none``.
    """

    labels: np.ndarray
    terms: np.ndarray
    scores: np.ndarray
    sets: Sequence[tuple[str, ...]]
    categories: Sequence[Category]
    sources: np.ndarray


def call_cells(
    clusters: Series,
    said: ModelCalls,
    marked: Mapping[str, MarkerCall],
    level: str,
    ontology: CellOntology,
) -> CellCalls:
    """Bring both ways together: the model cell by cell, or by majority in each cluster.

    Marker records name what the model leaves unknown. At the level of clusters the label set of a
    cluster is the fewest labels of the model that nine in ten of its named cells have.

    Args:
        clusters: Cluster of each cell.
        said: The model's word.
        marked: The marker records' word on each cluster.
        level: ``cell`` or ``cluster``.
        ontology: For label sets of more than one member.
    """
    n = len(clusters)
    labels, terms = np.full(n, UNKNOWN, dtype=object), np.full(n, "", dtype=object)
    scores, sources = np.zeros(n, dtype=np.float32), np.full(n, BY_NONE, dtype=object)
    sets: list[tuple[str, ...]] = [()] * n
    by_cluster = level == "cluster"
    for name, call in marked.items():
        rows = np.flatnonzero(np.asarray(clusters == name))
        named = rows[said.labels[rows] != UNKNOWN]
        if by_cluster and len(named) >= COVERED * len(rows) and len(rows):
            label, term, share = majority(named, said)
            labels[rows], terms[rows], scores[rows] = label, term, share
            sources[rows] = BY_MODEL
            _set_all(sets, rows, _most(said.labels[named]))
            continue
        rest = rows if by_cluster else np.setdiff1d(rows, named)
        if call.label != UNKNOWN:
            labels[rest], terms[rest] = call.label, call.ontology_id
            scores[rest], sources[rest] = call.score, BY_MARKERS
            _set_all(sets, rest, call.label_set)
    if not by_cluster:
        named = np.flatnonzero(said.labels != UNKNOWN)
        labels[named], terms[named] = said.labels[named], said.ids[named]
        scores[named], sources[named] = said.scores[named], BY_MODEL
        for row in named:
            sets[row] = said.sets[row] or (str(said.labels[row]),)
    ids = dict(said.set_ids)
    for call in marked.values():
        ids.setdefault(call.label, call.ontology_id)
        ids.setdefault(call.runner_up, call.runner_up_id)
    return CellCalls(
        labels=labels,
        terms=terms,
        scores=scores,
        sets=sets,
        categories=back_off_all(sets, ids, ontology),
        sources=sources,
    )


def write_calls(adata: AnnData, calls: CellCalls) -> None:
    """Write what is said of each cell to obs."""
    columns = {
        LABEL: calls.labels,
        TERM: calls.terms,
        LABEL_SET: [SEPARATOR.join(one) for one in calls.sets],
        CATEGORY: [one.name for one in calls.categories],
        CATEGORY_TERM: [one.ontology_id for one in calls.categories],
        SOURCE: calls.sources,
    }
    for column, values in columns.items():
        adata.obs[column] = np.asarray(values, dtype=object).astype(str)
        adata.obs[column] = adata.obs[column].astype("category")
    adata.obs[SCORE] = calls.scores


def majority(rows: np.ndarray, said: ModelCalls) -> tuple[str, str, float]:
    """The model's most frequent label among some cells, its term, and its share of them."""
    values, counts = np.unique(said.labels[rows].astype(str), return_counts=True)
    label = str(values[counts.argmax()])
    term = next(str(said.ids[row]) for row in rows if said.labels[row] == label)
    return label, term, float(counts.max() / len(rows))


def _most(labels: np.ndarray) -> tuple[str, ...]:
    values, counts = np.unique(labels.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    return tuple(str(one) for one in values[order][before < MOST * counts.sum()])


def _set_all(sets: list[tuple[str, ...]], rows: np.ndarray, value: tuple[str, ...]) -> None:
    for row in rows:
        sets[row] = value
