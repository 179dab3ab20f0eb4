"""Marker lists matched to cell types; no study is scored by its own records.

Lists are the top genes of labelled groups of measured cells, and the genes that publications of
CellMarker name for a type.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from cellwright.evals.metrics import bootstrap, wilson
from cellwright.evals.task import EvalContext, Score

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge
    from cellwright.knowledge.markers import MarkerTable

TOP_GENES = 20
FEWEST = 15
"""Cells that a group must have."""
PUBLISHED = (5, 60)
"""Fewest and most genes of a published list."""
FOLDS = 10
"""Parts of the publications; the lists of a part are matched without all records of the part."""

#: Data sets with the PMIDs of the studies that made them; True where constants were tuned on it.
STUDIES: dict[str, tuple[bool, frozenset[int]]] = {
    "pbmc3k_2638": (True, frozenset({28091601})),
    "bastidas_ponce_e15_739": (True, frozenset({31160421})),
    "joost_skin_720": (True, frozenset({27641957})),
    "zilionis_lung_800": (True, frozenset({30979687})),
    "zeisel_brain_1464": (True, frozenset({25700174})),
    "pbmc68k_reduced_700": (False, frozenset({28091601})),
    "kang_pbmc_ctrl_12261": (False, frozenset({29227470})),
    "telencephalon_4474": (False, frozenset()),
    "mca_gut_1871": (False, frozenset({29474909})),
    "bm_stroma_250": (False, frozenset()),
    "hnscc_ref_180": (False, frozenset({29198524})),
    "xin2016_islet_674": (False, frozenset({27667665})),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Group:
    """Genes that mark a type.

    Attributes:
        data: Where they come from.
        species: Species of the gene names.
        genes: Gene names.
        ontology_id: The type.
        tuned: Whether constants were chosen on this source.
        studies: PMIDs whose records may not be used.
        tissue: Where the cells come from, as its registry says; empty when nobody says.
        ranked: Whether the most telling gene comes first; else their order says nothing.
    """

    data: str
    species: str
    genes: tuple[str, ...]
    ontology_id: str
    tuned: bool
    studies: frozenset[int]
    tissue: str = ""
    ranked: bool = True


def groups(context: EvalContext) -> list[Group]:
    """Top genes of each label against the rest of its file."""
    from cellwright.cellmodel.data.block import make_block
    from cellwright.cellmodel.data.registry import dataset, label_table
    from cellwright.cellmodel.training.data import block_state, read_cells
    from cellwright.cellmodel.vocabulary import GeneVocabulary

    terms = _terms()
    found = []
    for name, (tuned, studies) in STUDIES.items():
        path = context.data_dir / f"{name}.h5ad"
        if not path.is_file():
            continue
        context.say(f"knowledge: groups of {name}")
        card = dataset(name)
        matrix, keys, _rows, labels, _obs = read_cells(
            path, card, label_table()[name], lambda names, _species: list(names)
        )
        genes = tuple(dict.fromkeys(str(key) for key in keys))
        block = make_block(matrix, keys, GeneVocabulary(genes), **block_state(card))
        ids = np.array([terms.get((name, label)) or "" for label in labels], object)
        for term in sorted(set(ids) - {""}):
            inside = ids == term
            if FEWEST <= inside.sum() < len(ids):
                top = telling(block.expression, inside)
                found.append(
                    Group(
                        data=name,
                        species=card.species,
                        genes=tuple(genes[at] for at in top),
                        ontology_id=term,
                        tuned=tuned,
                        studies=studies,
                        tissue=card.tissue,
                    )
                )
    return found


def published(knowledge: Knowledge) -> list[Group]:
    """Genes that a CellMarker publication names for a type of healthy tissue.

    Odd parts of the publications, by hash, are held out; constants may be chosen on even ones.
    """
    lists: dict[tuple[int, str, int], set[str]] = defaultdict(set)
    for species, symbol, term, pmids, cancer, negative in knowledge.markers.rows(
        "species", "symbol", "term", "pmids", "cancer", "negative"
    ):
        if term >= 0 and not cancer and not negative:
            for pmid in pmids:
                lists[pmid, species, term].add(symbol)
    parts: dict[int, set[int]] = defaultdict(set)
    for pmid, _species, _term in lists:
        parts[_part(pmid)].add(pmid)
    fewest, most = PUBLISHED
    return [
        Group(
            data="CellMarker publications",
            species=species,
            genes=tuple(sorted(symbols)),
            ontology_id=f"CL:{term:07d}",
            tuned=_part(pmid) % 2 == 0,
            studies=frozenset(parts[_part(pmid)]),
            ranked=False,
        )
        for (pmid, species, term), symbols in sorted(lists.items())
        if fewest <= len(symbols) <= most
    ]


def _part(pmid: int) -> int:
    return int(hashlib.sha256(str(pmid).encode()).hexdigest(), 16) % (2 * FOLDS)


def telling(expression: object, inside: np.ndarray) -> np.ndarray:
    """Positions of the genes with the largest Welch statistic, highest first.

    Args:
        expression: (cells, genes), log scale.
        inside: (cells,) which cells are of the group.
    """
    from scipy import sparse

    matrix = sparse.csr_matrix(expression)

    def moments(rows: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        mean = np.asarray(rows.mean(axis=0)).ravel()
        return mean, np.asarray(rows.multiply(rows).mean(axis=0)).ravel() - mean**2

    a, va = moments(matrix[inside])
    b, vb = moments(matrix[~inside])
    error = np.sqrt(va / inside.sum() + vb / (~inside).sum()) + 0.05
    return np.argsort(-(a - b) / error, kind="stable")[:TOP_GENES]


def _terms() -> dict[tuple[str, str], str]:
    text = resources.files("cellwright.cellmodel.data").joinpath("labels.tsv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {(row["dataset"], row["label"]): row["term"] for row in rows}


class Marked:
    """Marker tables without the records of a study, one for each set of studies.

    Args:
        knowledge: Whose records they are.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._tables: dict[frozenset[int], MarkerTable] = {}

    def __call__(self, studies: frozenset[int]) -> MarkerTable:
        """Return the records of all other studies."""
        from cellwright.knowledge.markers import MarkerTable

        if studies not in self._tables:
            known = self._knowledge
            table = MarkerTable(known.genes, known.ontology, known.folder, studies)
            self._tables[studies] = table
        return self._tables[studies]


def ours(marked: Marked, group: Group, *, tissue: bool = False) -> str:
    """``match_markers``, without the group's own study."""
    found = marked(group.studies).match(
        list(group.genes),
        group.species,
        tissue=group.tissue if tissue else None,
        weights=None if group.ranked else [1.0] * len(group.genes),
        top=1,
    )
    return found[0].ontology_id if found else ""


class PublicationCounts:
    """Baseline: publications of CellMarker that name a gene for a type, weighted by the gene's idf.

    Args:
        table: Marker records.
        knowledge: For the resolver of names.
        idf: Whether a gene counts less the more types it marks; else publications count alike.
    """

    def __init__(self, table: MarkerTable, knowledge: Knowledge, *, idf: bool = True) -> None:
        self._genes = knowledge.genes
        papers: dict[tuple[str, str], dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
        tissues: dict[int, set[str]] = defaultdict(set)
        for species, symbol, term, pmids, source, tissue in table.rows(
            "species", "symbol", "term", "pmids", "source", "tissue"
        ):
            if source == "CellMarker 2.0" and term >= 0:
                papers[species, symbol][term] |= set(pmids)
                tissues[term].add(tissue)
        self._papers = papers
        self._tissues = tissues
        self._types = {
            one: len({term for (species, _), found in papers.items() if species == one
                      for term in found})
            for one in ("human", "mouse")
        }  # fmt: skip
        self._idf = idf

    def __call__(self, group: Group, *, tissue: bool = False) -> str:
        """Return the type with most publications over the genes, of those seen in the tissue."""
        from cellwright.knowledge.marker_weights import tissue_words

        votes: dict[int, float] = defaultdict(float)
        for match in self._genes.resolve_many(list(group.genes), group.species):
            found = self._papers.get((group.species, match.symbol or ""), {})
            weight = np.log(self._types[group.species] / len(found)) if found and self._idf else 1.0
            for term, papers in found.items():
                votes[term] += weight * len(papers)
        words = tissue_words(group.tissue) if tissue else ()
        here = {
            term: vote
            for term, vote in votes.items()
            if any(word in where for where in self._tissues[term] for word in words)
        }
        votes = defaultdict(float, here or votes)
        best = max(votes, key=lambda term: (votes[term], -term), default=-1)
        return f"CL:{best:07d}" if best >= 0 else ""


def judge(knowledge: Knowledge, found: Sequence[Group], said: Sequence[str]) -> dict[str, Score]:
    """1 for the term itself, one half for a term above or below it."""
    points = _points(knowledge, found, said)
    return {
        "ontology_score": bootstrap(lambda at: float(points[at].mean()), len(points)),
        "related": wilson(int((points > 0).sum()), len(points)),
    }


def lead(
    knowledge: Knowledge, found: Sequence[Group], said: Sequence[str], other: Sequence[str]
) -> Score:
    """By how much one system's mean score is above another's; groups are drawn in pairs."""
    more = _points(knowledge, found, said) - _points(knowledge, found, other)
    return bootstrap(lambda at: float(more[at].mean()), len(more), draws=2000)


def _points(knowledge: Knowledge, found: Sequence[Group], said: Sequence[str]) -> np.ndarray:
    return np.array(
        [
            1.0
            if got == group.ontology_id
            else 0.5 * bool(got and knowledge.ontology.related(got, group.ontology_id))
            for group, got in zip(found, said, strict=True)
        ]
    )
